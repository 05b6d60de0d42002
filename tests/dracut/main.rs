//! Images that the real dracut builds from what our program wrote: what is in them, and beside each what
//! is not in them without our files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

#[path = "../lab/kernel.rs"]
#[allow(dead_code, reason = "the lab needs more of it")]
mod kernel;
mod unified;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kernel::Kernel;
use neuron_tests::dracut::{Dracut, hooks};
use neuron_tests::readers::output;
use neuron_tests::scenario::{Ground, Scenario};
use neuron_tests::target;
use serde_json::Value;
use tempfile::TempDir;

const VFIO_CONF: &str = "etc/modprobe.d/vfio.conf";
const DEVICES: &str = "etc/neuron/vfio-devices";
const CLAIM: &str = "usr/lib/neuron/neuron-vfio-claim";
const FORCED: &str = "etc/cmdline.d/20-force_drivers.conf";

/// The kernel, fetched once.
fn kernel() -> &'static Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(|| Kernel::fetch().unwrap())
}

/// A scenario that was carried out, and its target as it was before.
struct Applied {
    scenario: Scenario,
    ground: Ground,
    images: TempDir,
}

impl Applied {
    fn new(name: &str) -> Self {
        let scenario = Scenario::load(name).unwrap();
        let ground = scenario.ground().unwrap();
        target::copy(&scenario.target, &ground.beside("untouched")).unwrap();
        let done = ground.run(&["apply", "--yes"]).unwrap();
        assert_eq!(done.code, 4, "{}", done.stderr);
        Self { scenario, ground, images: neuron_tests::scratch().unwrap() }
    }

    /// Has dracut build an image from the `/etc` of one of the two trees.
    fn build(&self, is_applied: bool, image: &Path, arguments: &[&str]) {
        let root = if is_applied { self.ground.target() } else { self.ground.beside("untouched") };
        // The package that is installed here in full stands in the target for what detection looks at.
        let hook = root.join("usr/lib/dracut/modules.d/90neuron-vfio").exists();
        let Kernel { root: kernel, release, .. } = kernel();
        Dracut { kernel, release, etc: &root.join("etc"), hook }.build(image, arguments).unwrap();
    }

    /// An initramfs of a few modules, for any machine or for this one.
    fn initramfs(&self, is_applied: bool, hostonly: &str) -> Image {
        let path = self.images.path().join(format!("{is_applied}{hostonly}"));
        self.build(is_applied, &path, &[hostonly, "--modules", "base kernel-modules udev-rules"]);
        Image { path }
    }

    fn written(&self, path: &str) -> Vec<u8> {
        fs::read(self.ground.target().join(path)).unwrap()
    }

    /// What the plan has dracut do, by the steps that do it.
    fn commands(&self) -> Vec<Vec<String>> {
        let fresh = Ground::new(&self.scenario.machine, &self.scenario.target).unwrap();
        let plan: Value = serde_json::from_str(&fresh.run(&["plan", "--json"]).unwrap().stdout).unwrap();
        let steps = plan["steps"].as_array().unwrap().iter();
        let argv = steps.filter_map(|step| step["action"]["argv"].as_array());
        argv.map(|argv| argv.iter().map(|word| word.as_str().unwrap().to_owned()).collect()).collect()
    }
}

/// An initramfs, told by dracut's own `lsinitrd`.
struct Image {
    path: PathBuf,
}

impl Image {
    fn files(&self) -> BTreeSet<String> {
        let (good, list, error) = output(Command::new("lsinitrd").arg(&self.path), "dracut-core").unwrap();
        assert!(good, "{error}");
        let name = |line: &str| line.split_whitespace().nth(8).map(str::to_owned);
        list.lines().filter(|line| line.starts_with(['-', 'l', 'd'])).filter_map(name).collect()
    }

    fn content(&self, path: &str) -> Vec<u8> {
        let done = Command::new("lsinitrd").arg("-f").arg(path).arg(&self.path).output().unwrap();
        assert!(done.status.success(), "{path}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// The modules of vfio's that are in it.
    fn vfio(&self) -> Vec<String> {
        let files = self.files();
        let modules = files.iter().filter_map(|path| path.rsplit('/').next()?.strip_suffix(".ko"));
        modules.filter(|name| name.starts_with("vfio")).map(str::to_owned).collect()
    }
}

#[test]
fn the_image_holds_modules_configuration_list_and_hook_byte_for_byte() {
    let applied = Applied::new("dracut-early-hook-twins");
    for hostonly in ["--no-hostonly", "--hostonly"] {
        let image = applied.initramfs(true, hostonly);
        let vfio = image.vfio();
        for module in ["vfio", "vfio-pci", "vfio-pci-core", "vfio_iommu_type1"] {
            assert!(vfio.contains(&module.to_owned()), "{hostonly}: {vfio:?}");
        }
        for path in [VFIO_CONF, DEVICES] {
            assert_eq!(image.content(path), applied.written(path), "{hostonly}, {path}");
        }
        assert_eq!(image.content(CLAIM), fs::read(hooks().join("neuron/neuron-vfio-claim")).unwrap());
        let files = image.files();
        let hook =
            files.iter().find(|path| path.contains("/hooks/pre-udev/") && path.contains("neuron-vfio"));
        assert!(hook.is_some(), "{hostonly}: {files:?}");
        let forced = String::from_utf8(image.content(FORCED)).unwrap();
        let wanted = "rd.driver.pre=vfio_pci\nrd.driver.pre=vfio\nrd.driver.pre=vfio_iommu_type1\n";
        assert_eq!(forced, wanted, "{hostonly}");

        let control = applied.initramfs(false, hostonly);
        assert_eq!(control.vfio(), Vec::<String>::new(), "{hostonly}: the control");
        let files = control.files();
        assert!(files.iter().any(|path| path.ends_with("/modules.dep")), "{hostonly}: {files:?}");
        for path in [VFIO_CONF, DEVICES, CLAIM, FORCED] {
            assert!(!files.contains(path), "{hostonly}: {path} is in the control");
        }
    }
}

#[test]
fn without_the_hook_the_ids_are_in_images_for_any_machine_too() {
    let applied = Applied::new("dracut-grub");
    let image = applied.initramfs(true, "--no-hostonly");
    assert_eq!(image.content(VFIO_CONF), applied.written(VFIO_CONF));
    assert!(!image.files().contains(CLAIM) && !image.files().contains(DEVICES));
    // The control: dracut by itself would leave it out.
    let drop_in = applied.ground.target().join("etc/dracut.conf.d/95-neuron-vfio.conf");
    let text = fs::read_to_string(&drop_in).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("install_items"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    assert_ne!(without, text);
    fs::write(&drop_in, without).unwrap();
    let image = applied.initramfs(true, "--no-hostonly");
    assert!(!image.files().contains(VFIO_CONF) && image.vfio().contains(&"vfio-pci".to_owned()));
}

#[test]
fn the_planned_command_builds_an_image_as_it_was_built_before() {
    let applied = Applied::new("dracut-grub");
    let commands = applied.commands();
    let rebuild = commands.iter().find(|argv| argv[0] == "dracut").unwrap();
    assert_eq!(rebuild[1..4], ["--force", "--rebuild", "/boot/initramfs-linux.img"]);
    let path = applied.images.path().join("initramfs-linux.img");
    applied.build(
        false,
        &path,
        &["--no-hostonly", "--modules", "base kernel-modules", "--install", "/etc/fstab"],
    );
    let image = Image { path };
    assert_eq!(image.vfio(), Vec::<String>::new());
    // The same with the image where it lies here; the kernel's release is the script's to say.
    let again = [rebuild[2].as_str(), image.path.to_str().unwrap()];
    applied.build(true, &image.path, &again);
    assert!(image.vfio().contains(&"vfio-pci".to_owned()));
    // What its own options brought is still there.
    assert!(image.files().contains("etc/fstab"), "{:?}", image.files());
    let arguments = String::from_utf8(image.content("usr/lib/dracut/build-parameter.txt")).unwrap();
    assert!(arguments.contains("--modules 'base kernel-modules'"), "{arguments}");
    let bare = applied.initramfs(true, "--no-hostonly");
    assert!(!bare.files().contains("etc/fstab"), "the control");
}
