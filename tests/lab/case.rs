//! A case: a machine, what is in its image, and what has to be true after the root was switched.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use neuron_tests::dracut::{Dracut, drop_in};

use crate::archive::Archive;
use crate::kernel::{Kernel, run};
use crate::machine::{Function, Machine};
use crate::program;
use crate::qemu::{self, Boot, Equipment};
use crate::table::{self, Name, Row};

/// The early hook, as it is installed.
const HOOK: &str = "../archiso-hooks/neuron-initcpio-hooks/usr/lib/initcpio/hooks/neuron-vfio";
const CLAIM: &str = "../archiso-hooks/neuron-initcpio-hooks/usr/lib/neuron/neuron-vfio-claim";

/// What the hook reads.
const LIST: &str = "/etc/neuron/vfio-devices";

/// A file that a mutation breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shipped {
    /// mkinitcpio's runtime hook.
    Hook,
    /// The claim.
    Claim,
    /// The list that the program writes.
    List,
}

/// A text after sed; what does not change it is an error.
pub(crate) fn mutate(text: &str, sed: &str) -> io::Result<String> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    let changed = run(Command::new("sed").args(["-e", sed]).arg(file.path()))?;
    if changed == text {
        return Err(io::Error::other(format!(
            "`{sed}` changes nothing: what it broke is written otherwise now"
        )));
    }
    Ok(changed)
}

/// What is booted, and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    machine: Machine,
    files: BTreeMap<String, (u32, Vec<u8>)>,
    mutations: Vec<(Shipped, &'static str)>,
    parameters: String,
    checks: Vec<(String, String)>,
    hook: bool,
    vfio_in_image: bool,
    before: String,
    after: String,
    tried: usize,
    dracut: Option<&'static [&'static str]>,
    other_drop_in: Option<&'static str>,
    equipment: Equipment,
    kernel: Option<&'static Kernel>,
}

impl Case {
    /// A machine whose image has the hook and, as on a set-up machine, vfio-pci in front.
    pub(crate) fn new(machine: Machine) -> Self {
        let mut case = Self {
            machine,
            files: BTreeMap::new(),
            mutations: Vec::new(),
            parameters: String::new(),
            checks: Vec::new(),
            hook: true,
            vfio_in_image: true,
            before: String::new(),
            after: String::new(),
            tried: 0,
            dracut: None,
            other_drop_in: None,
            equipment: Equipment::SMALL,
            kernel: None,
        };
        case.put("/lab/modules", b"vfio_pci vfio vfio_iommu_type1");
        case
    }

    /// Records these functions for the hook.
    pub(crate) fn listed(self, guests: &[Function], host: Function) -> Self {
        let lines: String = guests.iter().map(|guest| guest.line("guest")).collect();
        self.list(format!("# A comment, as the program writes it.\n{lines}{}", host.line("host")).as_bytes())
    }

    /// What stands in the list, whatever it is.
    pub(crate) fn list(mut self, content: &[u8]) -> Self {
        self.put(LIST, content);
        self
    }

    /// `vfio.conf` with these ids and the softdeps that make them work.
    pub(crate) fn ids(mut self, functions: &[Function]) -> Self {
        let ids: Vec<&str> = functions.iter().map(|function| function.model.id()).collect();
        let mut text = format!("options vfio-pci ids={}\n", ids.join(","));
        for driver in ["bochs", "virtio_pci", "snd_hda_intel"] {
            let _ = writeln!(text, "softdep {driver} pre: vfio-pci");
        }
        self.put("/etc/modprobe.d/vfio.conf", text.as_bytes());
        self
    }

    /// Breaks a file of this case.
    pub(crate) fn mutated(mut self, file: Shipped, sed: &'static str) -> io::Result<Self> {
        if file == Shipped::List {
            let (_, content) =
                self.files.get(LIST).ok_or_else(|| io::Error::other("the case has no list"))?;
            let changed = mutate(&String::from_utf8_lossy(content), sed)?;
            self.put(LIST, changed.as_bytes());
        } else {
            self.mutations.push((file, sed));
            self.shipped(file)?;
        }
        Ok(self)
    }

    /// A shipped file, byte for byte but for the mutations.
    fn shipped(&self, file: Shipped) -> io::Result<Vec<u8>> {
        let path = if file == Shipped::Hook { HOOK } else { CLAIM };
        let mut text = std::fs::read_to_string(neuron_tests::tests_folder().join(path))?;
        for (_, sed) in self.mutations.iter().filter(|(of, _)| *of == file) {
            text = mutate(&text, sed)?;
        }
        Ok(text.into_bytes())
    }

    /// More on the kernel command line.
    pub(crate) fn parameters(mut self, parameters: &str) -> Self {
        parameters.clone_into(&mut self.parameters);
        self
    }

    /// An image without the hook.
    pub(crate) fn without_hook(mut self) -> Self {
        self.hook = false;
        self
    }

    /// An image without vfio-pci; the root has it.
    pub(crate) fn without_vfio_in_image(mut self) -> Self {
        self.vfio_in_image = false;
        self
    }

    /// An image that dracut built with these modules of its own, instead of the tiny one.
    pub(crate) fn dracut(mut self, modules: &'static [&'static str]) -> Self {
        self.dracut = Some(modules);
        self
    }

    /// Another drop-in of dracut's, read before ours.
    pub(crate) fn other_drop_in(mut self, text: &'static str) -> Self {
        self.other_drop_in = Some(text);
        self
    }

    /// A machine with more in it, and a kernel with other modules.
    pub(crate) fn equipped(mut self, equipment: Equipment, kernel: &'static Kernel) -> Self {
        (self.equipment, self.kernel) = (equipment, Some(kernel));
        self
    }

    /// Shell lines that run before the hook.
    pub(crate) fn before(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.before);
        self
    }

    /// Shell lines that run in the root, before the checks.
    pub(crate) fn after(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.after);
        self
    }

    /// A program of the root.
    pub(crate) fn program(mut self, path: &str, content: &[u8]) -> Self {
        self.files.insert(path.to_owned(), (0o755, content.to_vec()));
        self
    }

    /// What a command prints, without its line ends.
    pub(crate) fn prints(self, name: &str, command: &str, expected: &str) -> Self {
        let line = format!("check '{name}' \"$({command})\" '{expected}'");
        self.check(name.to_owned(), line)
    }

    /// This function is with this driver.
    pub(crate) fn has_driver(self, function: Function, driver: &str) -> Self {
        let address = function.address;
        let name = format!("{address} is with {driver}");
        let line = format!("check '{name}' \"$(driver {address})\" '{driver}'");
        self.check(name, line)
    }

    /// All of these are with vfio-pci.
    pub(crate) fn with_vfio(self, functions: &[Function]) -> Self {
        functions.iter().fold(self, |case, function| case.has_driver(*function, "vfio-pci"))
    }

    /// All of these are with the host's own drivers.
    pub(crate) fn with_host(self, functions: &[Function]) -> Self {
        functions.iter().fold(self, |case, function| case.has_driver(*function, function.model.driver()))
    }

    /// What the hook says that it did, and a part of why.
    pub(crate) fn says(self, result: &str, reason: &str) -> Self {
        let name = format!("the hook says {result}");
        let line = format!("check '{name}' \"$(claim result)\" {result}");
        let why = format!("its reason names: {reason}");
        let why_line = format!("contains '{why}' \"$(claim reason)\" '{reason}'");
        self.check(name, line).check(why, why_line)
    }

    /// Tries a list before the one of the case, and what the hook has to say about it.
    pub(crate) fn doubtful_list(mut self, name: &str, list: &[u8], reason: &str) -> Self {
        let number = self.tried;
        self.tried += 1;
        self.put(&format!("/lab/lists/{number}"), list);
        let _ = write!(
            self.before,
            "cp /etc/neuron/vfio-devices /run/kept\n\
             cp /lab/lists/{number} /etc/neuron/vfio-devices\n\
             /bin/sh /usr/lib/neuron/neuron-vfio-claim; echo \"rc=$?\" >/run/said.{number}\n\
             cat /run/neuron/claim >>/run/said.{number}\n\
             cat /sys/bus/pci/devices/*/driver_override | grep -c vfio-pci >>/run/said.{number}\n\
             rm /run/neuron/claim\n\
             cp /run/kept /etc/neuron/vfio-devices\n"
        );
        let said = format!("$(tr '\\n' ' ' </run/said.{number})");
        let all = format!("{name}: nothing is claimed");
        let line =
            format!("check '{all}' \"$(echo \"{said}\" | sed 's/reason=.* 0 $/0/')\" 'rc=0 result=doubt 0'");
        let why = format!("{name}: {reason}");
        let why_line = format!("contains '{why}' \"{said}\" '{reason}'");
        self.check(all, line).check(why, why_line)
    }

    /// No function is promised to vfio-pci.
    pub(crate) fn no_overrides(self) -> Self {
        let name = "no override is left".to_owned();
        let line =
            format!("check '{name}' \"$(cat /sys/bus/pci/devices/*/driver_override | grep -c vfio-pci)\" 0");
        self.check(name, line)
    }

    fn check(mut self, name: String, line: String) -> Self {
        self.checks.push((name, line));
        self
    }

    /// A file of the image.
    pub(crate) fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.put(path, content);
        self
    }

    fn put(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.to_owned(), (0o644, content.to_vec()));
    }

    /// Has our own program at `/lab/neuron-provisioner`, and runs its `inspect` at the end.
    pub(crate) fn inspects(mut self) -> io::Result<Self> {
        self.files.insert("/lab/neuron-provisioner".to_owned(), (0o755, std::fs::read(program::built()?)?));
        Ok(self)
    }

    /// What the machine's owner answers.
    pub(crate) fn answers(mut self, text: &str) -> Self {
        self.put("/etc/neuron/provisioner.toml", text.as_bytes());
        self
    }

    /// Boots, and gives what was found. The table tells it once somebody has judged that it shows what it
    /// is there to show.
    pub(crate) fn run(&self, name: Name, judge: impl FnOnce(&Report) -> bool) -> io::Result<Report> {
        let kernel = self.kernel.map_or_else(kernel, Ok)?;
        let image = match self.dracut {
            Some(modules) => {
                [self.built_by_dracut(kernel, modules)?, self.beside_dracut()?.finish()].concat()
            }
            None => [base()?, self.archive(kernel)?.finish()].concat(),
        };
        let boot = qemu::boot(kernel, &self.machine, self.equipment, &image, &self.parameters)?;
        let names = self.checks.iter().map(|(name, _)| name.clone()).collect();
        // isa-debug-exit: twice what was written, and one.
        let report = Report::read(name.text, boot, names, [33, 35])?;
        if judge(&report) {
            self.record(name, kernel, &report)?;
        }
        Ok(report)
    }

    /// A row of the table.
    fn record(&self, name: Name, kernel: &Kernel, report: &Report) -> io::Result<()> {
        let image = match (self.dracut, self.hook) {
            (None, true) if self.kernel.is_some() => "tiny, libvirt of the host",
            (None, true) => "tiny",
            (None, false) => "tiny, no hook",
            (Some(modules), _) if modules.contains(&"systemd") => "dracut, systemd",
            (Some(_), _) => "dracut",
        };
        let row =
            Row { name, machine: self.machine.summary(), image, proved: report.proved(), took: report.took };
        table::add(&row, &qemu::with(&format!("Linux {}", kernel.release), &kernel.image)?)
    }

    /// The image as dracut makes it from the drop-in that our program writes; where the hook's package
    /// is installed, our module brings the list and the hook.
    fn built_by_dracut(&self, kernel: &Kernel, modules: &[&str]) -> io::Result<Vec<u8>> {
        let scratch = neuron_tests::scratch()?;
        let etc = scratch.path().join("etc");
        for (path, (_, content)) in self.files.iter().filter(|(path, _)| path.starts_with("/etc/")) {
            neuron_tests::write(&scratch.path().join(path.trim_start_matches('/')), content)?;
        }
        neuron_tests::write(&etc.join("dracut.conf.d/95-neuron-vfio.conf"), drop_in(self.hook)?)?;
        if let Some(other) = self.other_drop_in {
            neuron_tests::write(&etc.join("dracut.conf.d/10-other.conf"), other)?;
        }
        let image = scratch.path().join("image");
        let dracut = Dracut { kernel: &kernel.root, release: &kernel.release, etc: &etc, hook: self.hook };
        // The host's drivers lie in the image as well: what is first has to win.
        let drivers = "bochs virtio-gpu virtio_pci snd-hda-intel";
        let modules = modules.join(" ");
        let arguments = [
            "--no-hostonly",
            "--modules",
            &modules,
            "--add-drivers",
            drivers,
            "--install",
            "/usr/bin/busybox",
        ];
        dracut.build(&image, &arguments)?;
        std::fs::read(image)
    }

    /// What the checks need in such an image: they run where dracut would mount the root.
    fn beside_dracut(&self) -> io::Result<Archive> {
        let mut archive = Archive::default();
        archive.file("/lab/checks", 0o644, self.check_lines().as_bytes());
        let guest = neuron_tests::tests_folder().join("lab/guest");
        for name in ["coldplug", "second"] {
            archive.copy_to(&guest.join(name), &format!("/lab/{name}"))?;
        }
        let hooks = "/usr/lib/dracut/hooks";
        archive.file(&format!("{hooks}/cmdline/99-lab.sh"), 0o755, b"root=lab rootok=1\n");
        let checks = b"/usr/bin/busybox sh /lab/second >/dev/console 2>&1\n";
        archive.file(&format!("{hooks}/pre-mount/01-lab.sh"), 0o755, checks);
        Ok(archive)
    }

    fn check_lines(&self) -> String {
        let lines: Vec<&str> = self.checks.iter().map(|(_, line)| line.as_str()).collect();
        format!("{}\n{}\n", self.after, lines.join("\n"))
    }

    fn archive(&self, kernel: &Kernel) -> io::Result<Archive> {
        let mut archive = Archive::default();
        for (path, (mode, content)) in &self.files {
            archive.file(path, *mode, content);
        }
        if self.hook {
            // mkinitcpio makes what it copies to /hooks executable.
            archive.file("/hooks/neuron-vfio", 0o755, &self.shipped(Shipped::Hook)?);
            archive.file("/usr/lib/neuron/neuron-vfio-claim", 0o755, &self.shipped(Shipped::Claim)?);
        }
        let modules = format!("/lib/modules/{}", kernel.release);
        let vfio = kernel.root.join(format!("lib/modules/{}", kernel.release));
        for entry in std::fs::read_dir(vfio)? {
            let entry = entry?;
            let file = entry.file_name().to_string_lossy().into_owned();
            let only_root = !self.vfio_in_image && file.starts_with("vfio-pci.ko");
            let prefix = if only_root { "/lab/root" } else { "" };
            archive.copy_to(&entry.path(), &format!("{prefix}{modules}/{file}"))?;
        }
        if !self.before.is_empty() {
            archive.file("/lab/before", 0o644, self.before.as_bytes());
        }
        archive.file("/lab/checks", 0o644, self.check_lines().as_bytes());
        Ok(archive)
    }
}

/// What a boot showed.
#[derive(Debug)]
pub(crate) struct Report {
    /// Each check, and whether it held.
    pub(crate) checks: BTreeMap<String, bool>,
    /// Everything on the console.
    pub(crate) console: String,
    /// How long the boot took.
    pub(crate) took: Duration,
}

impl Report {
    /// An unfinished boot, or a check without an answer, is an error; so is an exit code of QEMU
    /// other than the first if all checks held, than the second if not.
    pub(crate) fn read(name: &str, boot: Boot, expected: Vec<String>, codes: [i32; 2]) -> io::Result<Self> {
        let Boot { console, code, took } = boot;
        let broken = |why: String| Err(io::Error::other(format!("{name}: {why}\n{console}")));
        if code.is_none() {
            return broken(format!("the boot was not over after {:.0} s", took.as_secs_f32()));
        }
        let mut checks = BTreeMap::new();
        for (check, asked) in counted(expected) {
            match answer(&console, &check, asked) {
                Some(passed) => checks.insert(check, passed),
                None => return broken(format!("no answer to `{check}`, or not {asked}")),
            };
        }
        let failed = checks.values().any(|passed| !passed);
        if !console.lines().any(|line| line == format!("LAB-RESULT: rc={}", u8::from(failed))) {
            return broken("the result line is missing or says something else".to_owned());
        }
        if code != Some(codes[usize::from(failed)]) {
            return broken(format!("QEMU ended with {code:?}"));
        }
        let (good, bad) = (
            checks.values().filter(|passed| **passed).count(),
            checks.values().filter(|passed| !**passed).count(),
        );
        println!(
            "lab: {name}: {good} held, {bad} did not, {:.1} s{}",
            took.as_secs_f32(),
            hook_time(&console)
        );
        Ok(Self { checks, console, took })
    }

    /// For the table: how many checks held, and which did not.
    pub(crate) fn proved(&self) -> String {
        let held = self.checks.len() - self.failed().len();
        match self.failed().as_slice() {
            [] => format!("{held} held"),
            failed => format!("{held} held; not: {}", failed.join(", ")),
        }
    }

    /// Those that did not hold.
    pub(crate) fn failed(&self) -> Vec<&str> {
        self.checks.iter().filter(|(_, passed)| !**passed).map(|(name, _)| name.as_str()).collect()
    }
}

/// How often each check is asked for.
fn counted(checks: Vec<String>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for check in checks {
        *counted.entry(check).or_default() += 1;
    }
    counted
}

/// Whether a check held every time it was asked for; none unless it was answered as often.
fn answer(console: &str, check: &str, asked: usize) -> Option<bool> {
    let count = |is: &dyn Fn(&str) -> bool| console.lines().filter(|line| is(line)).count();
    let held = count(&|line| line.strip_prefix("PASS ") == Some(check));
    let failed = count(&|line| {
        line.strip_prefix("FAIL ")
            .and_then(|rest| rest.strip_prefix(check))
            .is_some_and(|rest| rest.starts_with(':'))
    });
    (held + failed == asked).then_some(failed == 0)
}

#[test]
fn a_check_is_answered_as_often_as_it_is_asked() {
    let console = "PASS a\nPASS b\nFAIL b: found '1', wanted '2'\nPASS bb";
    let answers = |check| [1, 2, 3].map(|asked| answer(console, check, asked));
    assert_eq!(answers("a"), [Some(true), None, None]);
    assert_eq!(answers("b"), [None, Some(false), None]);
    assert_eq!(answers("c"), [None; 3]);
    let asked = counted(["b", "a", "b"].map(str::to_owned).to_vec());
    assert_eq!(asked, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
}

/// How long the hook itself took, by the clock of the machine.
fn hook_time(console: &str) -> String {
    let times = console.lines().find_map(|line| line.strip_prefix("LAB-HOOK-TIME: "));
    let pair = times.and_then(|times| {
        let (began, ended) = times.split_once(' ')?;
        Some((began.parse::<f32>().ok()?, ended.parse::<f32>().ok()?))
    });
    pair.map_or_else(String::new, |(began, ended)| {
        let took = Duration::try_from_secs_f32(ended - began).unwrap_or_default();
        format!(", the hook {:.2} s", took.as_secs_f32())
    })
}

/// The kernel, fetched once.
fn kernel() -> io::Result<&'static Kernel> {
    static KERNEL: OnceLock<Result<Kernel, String>> = OnceLock::new();
    KERNEL
        .get_or_init(|| Kernel::fetch().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| io::Error::other(error.as_str()))
}

/// What every image has: a shell, kmod, and the processes that drive a case.
fn base() -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    let busybox = run(Command::new("sh").args(["-c", "command -v busybox"]))?;
    archive.copy_to(Path::new(busybox.trim()), "/bin/busybox")?;
    let kmod = run(Command::new("sh").args(["-c", "command -v kmod"]))?;
    archive.copy_to(Path::new(kmod.trim()), "/usr/bin/kmod")?;
    for library in libraries(Path::new(kmod.trim())) {
        archive.copy(&library)?;
    }
    let guest = neuron_tests::tests_folder().join("lab/guest");
    archive.copy_to(&guest.join("init"), "/init")?;
    for name in ["coldplug", "second"] {
        archive.copy_to(&guest.join(name), &format!("/lab/{name}"))?;
    }
    Ok(archive.finish())
}

/// The libraries of a program of this system, by their paths here; none of a static one.
pub(crate) fn libraries(program: &Path) -> Vec<String> {
    let Ok(listed) = run(Command::new("ldd").arg(program)) else { return Vec::new() };
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(str::to_owned).collect()
}
