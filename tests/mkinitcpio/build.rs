//! mkinitcpio on a target: the commands of a plan, and what they built.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use neuron_passthrough::facts::{Machine, Target};
use neuron_passthrough::initramfs;
use neuron_passthrough::root::Root;
use neuron_tests::readers::{self, output};
use neuron_tests::scenario::Scenario;
use neuron_tests::{left_out, tests_folder};
use serde_json::Value;

use crate::kernel::Kernel;

/// What the targets want in their images, by name or by a hook.
const MODULES: [&str; 8] =
    ["vfio-pci", "vfio_iommu_type1", "bochs", "snd-hda-intel", "nvme", "usbhid", "ext4", "lz4"];

/// The kernel whose modules go into the images: one that is installed the way Arch does it, else the one of
/// the distribution, fetched once.
pub(crate) fn kernel() -> &'static Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(|| installed().unwrap_or_else(|| Kernel::with("-mkinitcpio", &MODULES).unwrap()))
}

fn installed() -> Option<Kernel> {
    let releases = fs::read_dir("/usr/lib/modules").ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let release = releases.filter_map(|name| name.into_string().ok()).find(|release| {
        let has = |name: &str| Path::new("/usr/lib/modules").join(release).join(name).is_file();
        has("vmlinuz") && has("modules.dep.bin")
    })?;
    let image = PathBuf::from(format!("/usr/lib/modules/{release}/vmlinuz"));
    Some(Kernel { unpacked: image.clone(), image, root: "/usr".into(), release })
}

/// Whether the test that calls this is left out, since there is no mkinitcpio.
pub(crate) fn is_missing() -> bool {
    let has = |name: &str| {
        let look = format!("command -v {name}");
        Command::new("sh").args(["-c", &look]).output().is_ok_and(|done| done.status.success())
    };
    let missing: Vec<&str> = ["mkinitcpio", "lsinitcpio"].into_iter().filter(|name| !has(name)).collect();
    if !missing.is_empty() {
        left_out::tell(&format!("no {} on the PATH: no real image is built", missing.join(" and no ")));
    }
    !missing.is_empty()
}

/// Copies a target's tree.
pub(crate) fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success(), "cp -a {} {}", from.display(), to.display());
}

/// What the plan of a scenario has mkinitcpio do, as it runs in that target; a program that runs it for every
/// preset counts as that.
pub(crate) fn commands(scenario: &Scenario) -> Vec<Vec<String>> {
    let fresh = scenario.ground().unwrap();
    let plan: Value = serde_json::from_str(&fresh.run(&["plan", "--json"]).unwrap().stdout).unwrap();
    let steps = plan["steps"].as_array().unwrap().iter();
    let argv = steps.filter_map(|step| step["action"]["argv"].as_array());
    let words = argv.map(|argv| argv.iter().map(|word| word.as_str().unwrap().to_owned()).collect());
    let commands: Vec<Vec<String>> = words.collect();
    let machine = Machine::read(&Root::directory(&fresh.machine()).unwrap()).unwrap();
    let target = Target::read(&Root::directory(&fresh.target()).unwrap(), &machine).unwrap();
    let of_presets = ["mkinitcpio", "-P"].map(str::to_owned).to_vec();
    let commands = commands.into_iter().filter_map(|argv| match argv[0].as_str() {
        "mkinitcpio" if argv == of_presets => initramfs::of_presets(&target),
        "mkinitcpio" => Some(argv),
        "limine-mkinitcpio" => Some(of_presets.clone()),
        _ => None,
    });
    commands.collect()
}

/// The modules that the target's own kernel has and this one has not.
pub(crate) fn lacking(root: &Path) -> io::Result<BTreeSet<String>> {
    let Kernel { root: kernel, release, .. } = kernel();
    let configurations = readers::mkinitcpio(root)?;
    let wanted = configurations.into_iter().flat_map(|one| one.modules);
    let mut lacks: BTreeSet<String> = wanted.filter(|name| !name.ends_with('?')).collect();
    let mut failed = Ok(());
    lacks.retain(|name| {
        let mut command = Command::new("modprobe");
        command.args(["-S", release, "-d"]).arg(kernel).args(["--show-depends", name]);
        output(&mut command, "kmod").map_or_else(
            |error| {
                failed = Err(error);
                true
            },
            |(good, ..)| !good,
        )
    });
    failed.map(|()| lacks)
}

/// An image that was built.
pub(crate) struct Built {
    /// Its path in the target.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// `MODULES` as bash reads them, those that the kernel has.
    pub(crate) modules: Vec<String>,
    /// The words of its command line, in a unified image.
    pub(crate) cmdline: Option<Vec<String>>,
}

/// Runs these commands in a target, with a real kernel in it; everything that mkinitcpio calls an error is one.
pub(crate) fn all(root: &Path, hook: bool, commands: &[Vec<String>]) -> io::Result<Vec<Built>> {
    let Kernel { root: kernel, release, .. } = kernel();
    put_kernels(&root.join("boot"))?;
    let hooks = if hook { Some(neuron_tests::dracut::hooks().canonicalize()?) } else { None };
    // One that is installed lies there already.
    let modules = if kernel == Path::new("/usr") { None } else { Some(kernel.join("lib").canonicalize()?) };
    let lib = [hooks, modules].into_iter().flatten().map(|path| format!("{}:", path.display()));
    let lib = lib.collect::<String>();
    let (own, lacks) = (readers::kernels(root)?, lacking(root)?);
    let mut built = Vec::new();
    for argv in commands {
        let argv: Vec<&str> =
            argv.iter().map(|word| if own.contains(word) { release.as_str() } else { word }).collect();
        let images = images(root, &argv)?;
        for (_, image, _) in &images {
            let path = root.join(image.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            // What stands in its place would pass for one.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut command = Command::new(tests_folder().join("mkinitcpio/in-target"));
        command.arg(root).arg(&lib).args(&argv);
        // That hook looks at the file system of the root that it runs in, which has none here.
        command.args(if argv.contains(&"-g") { &["-S", "fsck"][..] } else { &["--", "-S", "fsck"] });
        let (good, said, complaint) = output(&mut command, "mkinitcpio")?;
        // What somebody else's module is to this kernel stops no image; it ends with 1 then.
        let is_excused = |line: &str| lacks.iter().any(|name| line.contains(&format!("not found: '{name}'")));
        let errors: Vec<&str> = complaint.lines().filter(|line| line.contains("ERROR")).collect();
        if good != errors.is_empty() || !errors.iter().all(|line| is_excused(line)) {
            return Err(io::Error::other(format!("{argv:?}: {complaint}{said}")));
        }
        for (name, image, modules) in images {
            let path = root.join(image.trim_start_matches('/'));
            let is_unified = path.extension().is_some_and(|name| name == "efi");
            let cmdline = is_unified.then(|| readers::section(&path, ".cmdline")).transpose()?;
            built.push(Built { name: format!("{name} {image}"), path, modules, cmdline });
        }
    }
    Ok(built)
}

/// What a command builds: from which preset, where, and with which modules first.
fn images(root: &Path, argv: &[&str]) -> io::Result<Vec<(String, String, Vec<String>)>> {
    let configurations = readers::mkinitcpio(root)?;
    let plain =
        |modules: &[String]| modules.iter().map(|name| name.trim_end_matches('?').to_owned()).collect();
    let of_presets = |option: &&str| ["-P", "-p"].contains(option);
    if argv.get(1).is_some_and(of_presets) {
        let is_named = |preset: &str| {
            argv[1] == "-P"
                || argv
                    .iter()
                    .any(|word| preset.split_once(".preset:").is_some_and(|(name, _)| name == *word))
        };
        let named = configurations.into_iter().filter(|one| is_named(&one.preset));
        return Ok(named.map(|one| (one.preset, one.image, plain(&one.modules))).collect());
    }
    let image = argv.iter().skip_while(|word| **word != "-g").nth(1);
    let image = image.ok_or_else(|| io::Error::other(format!("{argv:?} builds no image")))?;
    let modules = configurations.first().map(|one| plain(&one.modules)).unwrap_or_default();
    Ok(vec![("no preset".to_owned(), (*image).to_owned(), modules)])
}

/// Puts a kernel in the place of everything that stands for one.
fn put_kernels(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            put_kernels(&entry.path())?;
        } else if entry.file_name().to_string_lossy().starts_with("vmlinuz") {
            fs::copy(&kernel().image, entry.path())?;
        }
    }
    Ok(())
}
