//! A kernel to boot: the one of the distribution, taken out of its package and kept by version.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the lab loads; the modules that they need come along.
const GRAPHICS: [&str; 7] =
    ["vfio-pci", "vfio_iommu_type1", "bochs", "virtio-gpu", "virtio_pci", "snd-hda-intel", "nvme"];

/// A kernel with the modules that the lab loads.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The kernel as it is installed.
    pub(crate) image: PathBuf,
    /// The same unpacked: an emulated processor would need as long to unpack it as to boot it.
    pub(crate) unpacked: PathBuf,
    /// A folder with `lib/modules/<release>`.
    pub(crate) root: PathBuf,
    /// Its release, as `uname -r` has it.
    pub(crate) release: String,
}

/// Where downloads and what is made of them stay.
pub(crate) fn cache() -> PathBuf {
    neuron_tests::tests_folder().join("../.cache/lab")
}

impl Kernel {
    /// The kernel that the distribution offers now; downloaded once a version.
    pub(crate) fn fetch() -> io::Result<Self> {
        Self::with("", &GRAPHICS)
    }

    /// The same with other modules, kept under a name of its own.
    pub(crate) fn with(name: &str, modules: &[&str]) -> io::Result<Self> {
        let (package, version) = offered()?;
        let folder = cache().join(format!("{package}_{}{name}", version.replace(':', "%3a")));
        let wanted = modules.join("\n");
        // Written last: what has it is complete.
        let complete = folder.join("wanted");
        if fs::read_to_string(&complete).ok().as_deref() != Some(wanted.as_str()) {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            unpack(&package, &version, modules, &folder)?;
            fs::write(&complete, wanted)?;
        }
        let release = only_entry(&folder.join("lib/modules"))?;
        let (image, unpacked) = (folder.join("vmlinuz"), folder.join("vmlinux"));
        Ok(Self { image, unpacked, root: folder, release })
    }
}

/// The package that the distribution's kernel comes in at present, with its version.
fn offered() -> io::Result<(String, String)> {
    let shown = run(Command::new("apt-cache").args(["show", "--no-all-versions", "linux-image-amd64"]))
        .map_err(|error| {
            io::Error::other(format!("{error}\nhint: the lists of apt may be missing: `apt-get update`"))
        })?;
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: linux-image-"));
    let parsed = depends.and_then(|rest| {
        let (name, version) = rest.split_once(" (= ")?;
        Some((format!("linux-image-{name}"), version.split(')').next()?.to_owned()))
    });
    parsed.ok_or_else(|| {
        io::Error::other(format!("linux-image-amd64 does not say which kernel it stands for:\n{shown}"))
    })
}

/// Downloads a package and takes the kernel and the wanted modules out of it.
fn unpack(package: &str, version: &str, wanted: &[&str], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(cache())?;
    let scratch = tempfile::tempdir_in(cache())?;
    let at = scratch.path();
    run(Command::new("apt-get").args(["download", "-q", &format!("{package}={version}")]).current_dir(at))?;
    let archive = at.join(only_entry(at)?);
    let whole = at.join("whole");
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&whole))?;
    // The modules lie below /usr in newer packages.
    let modules = whole.join("lib/modules");
    if !modules.exists() {
        fs::create_dir_all(whole.join("lib"))?;
        fs::rename(whole.join("usr/lib/modules"), &modules)?;
    }
    let release = only_entry(&modules)?;
    run(kmod("depmod").arg("-b").arg(&whole).arg(&release))?;
    let made = at.join("made");
    let target = made.join("lib/modules").join(&release);
    fs::create_dir_all(&target)?;
    fs::rename(whole.join("boot").join(format!("vmlinuz-{release}")), made.join("vmlinuz"))?;
    unpack_kernel(&made.join("vmlinuz"), &made.join("vmlinux"))?;
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        fs::copy(modules.join(&release).join(list), target.join(list))?;
    }
    for name in wanted {
        let needs =
            run(kmod("modprobe").arg("-d").arg(&whole).args(["-S", &release, "--show-depends", name]))?;
        for file in needs.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let file = Path::new(file.split_whitespace().next().unwrap_or_default());
            let name = file.file_name().unwrap_or_default();
            fs::copy(file, target.join(name))?;
        }
    }
    run(kmod("depmod").arg("-b").arg(&made).arg(&release))?;
    fs::rename(made, folder)
}

/// Takes the kernel proper out of what a boot loader starts (Documentation/arch/x86/boot.rst).
fn unpack_kernel(image: &Path, to: &Path) -> io::Result<()> {
    let named = |what: &str| io::Error::other(format!("{}: {what}", image.display()));
    let bytes = fs::read(image)?;
    let number = |at: usize| -> Option<usize> {
        let field = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(field)).ok()
    };
    let payload = || {
        let sectors = usize::from(*bytes.get(0x1f1)?);
        let begin = (sectors + 1) * 512 + number(0x248)?;
        // The last four bytes say how long it is unpacked.
        let end = begin + number(0x24c)? - 4;
        Some((bytes.get(begin..end)?, number(end)?))
    };
    let (payload, length) = payload().ok_or_else(|| named("is no kernel image of Linux"))?;
    let unpacker = match payload {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => return Err(named("is packed neither by xz nor by zstd")),
    };
    let packed = to.with_extension("packed");
    fs::write(&packed, payload)?;
    run(Command::new("sh").args(["-c", "\"$0\" -dc <\"$1\" >\"$2\"", unpacker]).arg(&packed).arg(to))?;
    fs::remove_file(&packed)?;
    if fs::metadata(to)?.len() != length as u64 {
        return Err(named(&format!("should be {length} bytes unpacked")));
    }
    Ok(())
}

/// A program of kmod, which a plain user has not got on the path.
fn kmod(name: &str) -> Command {
    let mut command = Command::new("kmod");
    command.arg0(name);
    command
}

/// The name of the only thing in a folder.
fn only_entry(folder: &Path) -> io::Result<String> {
    let names: Vec<String> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    match names.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(io::Error::other(format!("{} should hold one thing: {names:?}", folder.display()))),
    }
}

/// What a program prints; an error says what it complained of.
pub(crate) fn run(command: &mut Command) -> io::Result<String> {
    let done =
        command.output().map_err(|error| io::Error::other(format!("cannot start {command:?}: {error}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() {
        Ok(text(&done.stdout))
    } else {
        Err(io::Error::other(format!("{command:?} failed: {}", text(&done.stderr).trim())))
    }
}
