//! What an installation comes to, told by the programs that read its files at boot, each asked the
//! same of an installation without our module.

use std::fs;
use std::path::Path;

use neuron_tests::readers;

use crate::cases::Case;

const KILL_SWITCH: &str = "neuron.passthrough=off";
/// What an entry without passthrough has and its twin has not.
const HOST_ONLY: [&str; 2] = [KILL_SWITCH, "vfio-pci.ids="];

/// Asks kmod, bash and sh about the targets of two installations: `without` and `with` our module.
pub(crate) fn check(case: &Case, without: &Path, with: &Path) {
    modprobe(case, without, with);
    mkinitcpio(case, without, with);
    parameters(case, without, with);
}

/// The ids of vfio-pci, and what is loaded before the drivers that would take the card.
fn modprobe(case: &Case, without: &Path, with: &Path) {
    let wanted = Some(case.effective.ids.clone()).filter(|ids| !ids.is_empty());
    let kernels = readers::kernels(with).unwrap();
    assert!(!kernels.is_empty());
    for kernel in kernels {
        let show = |root: &Path, module: &str| {
            readers::modprobe(root, &kernel, &["--show-depends", module]).unwrap()
        };
        assert_eq!(readers::ids(&show(without, "vfio-pci")), None, "without our module");
        assert_eq!(readers::ids(&show(with, "vfio-pci")), wanted);
        for driver in &case.effective.before {
            let (before, after) = (show(without, driver), show(with, driver));
            let places = |lines| (readers::position(lines, "vfio_pci"), readers::position(lines, driver));
            assert!(matches!(places(&before), (None, Some(_))), "without our module: {before:?}");
            assert!(matches!(places(&after), (Some(vfio), Some(own)) if vfio < own), "{after:?}");
        }
    }
}

/// The modules of every image.
fn mkinitcpio(case: &Case, without: &Path, with: &Path) {
    let [before, after] = [without, with].map(|root| readers::mkinitcpio(root).unwrap());
    assert!(!before.is_empty() && before.len() == after.len(), "{before:?} {after:?}");
    for (before, after) in before.iter().zip(&after) {
        assert!(
            !before.modules.iter().any(|module| module.contains("vfio")),
            "without our module: {before:?}"
        );
        let wanted: Vec<&String> = case.effective.modules.iter().chain(&before.modules).collect();
        assert_eq!(after.modules.iter().collect::<Vec<_>>(), wanted, "{}", after.preset);
        assert_eq!(after.files, before.files, "{}", after.preset);
    }
}

/// The kernel's parameters: what was there, then ours; entries without passthrough have what was there
/// and the switches.
fn parameters(case: &Case, without: &Path, with: &Path) {
    let lines = |root: &Path| {
        if root.join("etc/default/grub").exists() { grub(root) } else { entries(root) }
    };
    let (before, after) = (lines(without), lines(with));
    let (hosts, after): (Vec<_>, Vec<_>) =
        after.into_iter().partition(|line: &Vec<String>| line.contains(&KILL_SWITCH.to_owned()));
    assert!(!before.is_empty() && before.len() == after.len(), "{before:?} {after:?}");
    for host in &hosts {
        let original: Vec<_> = host.iter().filter(|word| !HOST_ONLY.contains(&word.as_str())).collect();
        assert!(before.iter().any(|before| before.iter().eq(original.iter().copied())), "{host:?}");
    }
    for (before, after) in before.iter().zip(&after) {
        let ours = case.effective.parameters.iter();
        assert!(ours.clone().all(|parameter| !before.contains(parameter)), "without our module: {before:?}");
        assert_eq!(*after, before.iter().chain(ours).cloned().collect::<Vec<_>>());
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// What grub-mkconfig puts behind the kernel of a default entry.
fn grub(root: &Path) -> Vec<Vec<String>> {
    let (all, default) = readers::grub_default(root).unwrap();
    vec![words(&format!("{all} {default}"))]
}

/// The options of every loader entry; `tests/effective` asks systemd itself about such files.
fn entries(root: &Path) -> Vec<Vec<String>> {
    let folder = root.join("boot/loader/entries");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let options =
        |text: String| text.lines().filter_map(|line| line.strip_prefix("options")).flat_map(words).collect();
    files.iter().map(|file| options(fs::read_to_string(file).unwrap())).collect()
}
