//! Images that the real mkinitcpio builds from what our program wrote, by the commands of the plan: what is
//! in them, and that nothing of it is in them after a revert.
//!
//! mkinitcpio is no package of Debian's: where there is none on the PATH these tests are left out, and say so.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod build;
mod image;
#[path = "../lab/kernel.rs"]
#[allow(dead_code, reason = "the lab needs more of it")]
mod kernel;

use std::fs;
use std::io;
use std::path::Path;

use neuron_tests::scenario::{self, Ground, Scenario};
use neuron_tests::{left_out, target};

use build::{Built, is_missing, kernel};
use image::Image;

const VFIO_CONF: &str = "etc/modprobe.d/vfio.conf";
const DEVICES: &str = "etc/neuron/vfio-devices";
const CLAIM: &str = "usr/lib/neuron/neuron-vfio-claim";
/// What mkinitcpio calls a hook.
const HOOK: &str = "hooks/neuron-vfio";

/// The package with the early hook, as it is installed.
fn shipped(path: &str) -> Vec<u8> {
    fs::read(neuron_tests::tests_folder().join("../archiso-hooks/neuron-initcpio-hooks").join(path)).unwrap()
}

/// A scenario that was carried out and taken back; images were built in both trees.
struct Told {
    scenario: Scenario,
    applied: Vec<Built>,
    reverted: Vec<Built>,
    ground: Ground,
}

/// The first scenario that changes this target's images, applied; nothing where there is none.
fn applied(target: &str) -> Option<(Scenario, Ground)> {
    let scenarios = scenario::names().unwrap().into_iter().map(|name| Scenario::load(&name).unwrap());
    scenarios.filter(|scenario| scenario.target == target && scenario.exit == 4).find_map(|scenario| {
        let ground = scenario.ground().unwrap();
        let done = ground.run(&["apply", "--yes"]).unwrap();
        assert_eq!(done.code, 4, "{}: {}", scenario.name, done.stderr);
        // A machine whose IOMMU has to be turned on first gives nothing away yet.
        let is_pending = ground.target().join("var/lib/neuron-provisioner/candidate.json").exists();
        let is_for_dracut = ground.target().join("etc/dracut.conf.d/95-neuron-vfio.conf").exists();
        (!is_pending && !is_for_dracut).then_some((scenario, ground))
    })
}

impl Told {
    fn new(scenario: Scenario, ground: Ground, change: impl Fn(&Path)) -> io::Result<Self> {
        let commands = build::commands(&scenario);
        let copy = |name: &str| {
            let root = ground.beside(name);
            build::copy(&ground.target(), &root);
            change(&root);
            root
        };
        let root = copy("applied");
        let hook = shipped_to(&root);
        let applied = build::all(&root, hook, &commands)?;
        let done = ground.run(&["revert", "--yes"]).unwrap();
        assert_eq!(done.code, 4, "{}: {}", scenario.name, done.stderr);
        let reverted = build::all(&copy("reverted"), hook, &commands)?;
        Ok(Self { scenario, applied, reverted, ground })
    }

    fn root(&self) -> std::path::PathBuf {
        self.ground.beside("applied")
    }
}

/// Whether the package with the early hook is installed there.
fn shipped_to(root: &Path) -> bool {
    root.join("usr/lib/initcpio/install/neuron-vfio").exists()
}

#[test]
fn every_target_gets_into_its_images_what_was_written_and_nothing_after_a_revert() {
    if is_missing() {
        return;
    }
    let (mut images, mut hooked, mut unified, mut failed) = (0, 0, 0, Vec::new());
    for name in target::names().unwrap() {
        let Some((scenario, ground)) = applied(&name) else {
            println!("mkinitcpio: {name}: nothing is written for it there, so nothing is built");
            continue;
        };
        if let Some(module) =
            build::lacking(&ground.target()).unwrap().iter().find(|name| name.starts_with("vfio"))
        {
            let release = &kernel().release;
            left_out::tell(&format!("{name}: its kernel has {module}, and {release} has not"));
            continue;
        }
        let told = match Told::new(scenario, ground, |_| ()) {
            Ok(told) => told,
            Err(why) => {
                failed.push(format!("{name}: {why}"));
                continue;
            }
        };
        for built in &told.applied {
            let image = Image::unpack(&built.path);
            println!("mkinitcpio: {name}, {}: {}", built.name, image.told());
            let whose = format!("{}, {}", told.scenario.name, built.name);
            holds(&told, built, &image, &whose);
            images += 1;
            hooked += usize::from(shipped_to(&told.root()));
            unified += usize::from(built.cmdline.is_some());
        }
        assert!(!told.reverted.is_empty(), "{name}");
        for built in &told.reverted {
            let image = Image::unpack(&built.path);
            let whose = format!("{}, {}, reverted", told.scenario.name, built.name);
            assert_eq!(image.ours(), Vec::<String>::new(), "{whose}");
            assert!(image.has("init") && image.has("usr/bin/kmod"), "{whose}: {}", image.told());
            let words = built.cmdline.iter().flatten();
            assert_eq!(words.filter(|word| word.starts_with("neuron.")).count(), 0, "{whose}");
        }
    }
    assert!(failed.is_empty(), "mkinitcpio fails:\n{}", failed.join("\n"));
    println!("mkinitcpio: {images} images, {hooked} with the early hook, {unified} unified");
    assert!(images > 25 && hooked > 1 && unified > 4, "hardly any image was built");
}

/// What an image has to hold, by what lies in the target, and by what bash makes of its configuration.
fn holds(told: &Told, built: &Built, image: &Image, whose: &str) {
    let first: Vec<String> = built.modules.iter().filter(|name| name.starts_with("vfio")).cloned().collect();
    let loaded = image.loaded();
    assert_eq!(loaded.get(..first.len()), Some(&first[..]), "{whose}: what is loaded first");
    for module in &first {
        assert!(image.modules().contains(module), "{whose}: {module}");
    }
    let hook = shipped_to(&told.root());
    let has_vfio = image.modules().iter().any(|name| name.starts_with("vfio"));
    assert_eq!(has_vfio, hook || !first.is_empty(), "{whose}: {:?}", image.modules());
    let written = |path: &str| fs::read(told.root().join(path)).ok();
    assert_eq!(image.content(VFIO_CONF), written(VFIO_CONF), "{whose}");
    assert!(first.is_empty() || image.has(VFIO_CONF), "{whose}");
    if hook {
        assert_eq!(image.content(DEVICES), written(DEVICES), "{whose}");
        claims(image, whose);
    } else {
        assert!(!image.has(DEVICES) && !image.has(CLAIM) && !image.has(HOOK), "{whose}");
    }
    if let Some(words) = &built.cmdline {
        let is_host = built.name.contains("neuron-host");
        let has = |word: &String| words.contains(word);
        assert_eq!(has(&"neuron.passthrough=off".to_owned()), is_host, "{whose}: {words:?}");
        assert!(words.iter().any(|word| word.starts_with("root=")), "{whose}: {words:?}");
        let parameters = &told.scenario.parameters;
        assert!(is_host || parameters.iter().all(has), "{whose}: {words:?}");
    }
}

/// The early hook and what it needs.
fn claims(image: &Image, whose: &str) {
    assert_eq!(image.content(CLAIM), Some(shipped("usr/lib/neuron/neuron-vfio-claim")), "{whose}");
    assert_eq!(image.mode(CLAIM) & 0o111, 0o111, "{whose}: the claim cannot be started");
    for module in ["vfio_pci", "vfio_iommu_type1"] {
        assert!(image.modules().contains(module), "{whose}: {module}");
    }
    if image.is_systemd() {
        let unit = "usr/lib/systemd/system/neuron-vfio.service";
        assert_eq!(image.content(unit), Some(shipped(unit)), "{whose}");
        let wanted = "usr/lib/systemd/system/sysinit.target.wants/neuron-vfio.service";
        assert_eq!(image.content(wanted), Some(shipped(unit)), "{whose}: the unit is wanted by nobody");
        assert!(image.has("usr/lib/neuron/bin/sh") && image.has("usr/lib/neuron/bin/sleep"), "{whose}");
        return;
    }
    assert_eq!(image.content(HOOK), Some(shipped("usr/lib/initcpio/hooks/neuron-vfio")), "{whose}");
    assert!(image.early_hooks().contains(&"neuron-vfio".to_owned()), "{whose}: {:?}", image.early_hooks());
}

#[test]
fn an_image_with_systemd_gets_the_early_hook_as_a_unit() {
    if is_missing() {
        return;
    }
    let (scenario, ground) = applied("early-hook").unwrap();
    let told = Told::new(scenario, ground, |root| {
        let file = root.join("etc/mkinitcpio.conf");
        let text = fs::read_to_string(&file).unwrap();
        let with = text.replace("HOOKS=(base udev ", "HOOKS=(base systemd ");
        // What has no systemd to run it is of no interest here.
        let with = with.replace(" keymap consolefont ", " ");
        assert_ne!(text, with);
        fs::write(&file, with).unwrap();
    })
    .unwrap();
    for built in &told.applied {
        let image = Image::unpack(&built.path);
        println!("mkinitcpio: systemd, {}: {}", built.name, image.told());
        assert!(image.is_systemd());
        holds(&told, built, &image, &built.name);
    }
    for built in &told.reverted {
        assert_eq!(Image::unpack(&built.path).ours(), Vec::<String>::new());
    }
    assert!(!told.applied.is_empty() && !told.reverted.is_empty());
}

/// The controls of the two tests above: a file of ours that is missing is missed.
#[test]
fn what_is_not_written_is_not_in_the_image() {
    if is_missing() {
        return;
    }
    let (scenario, ground) = applied("early-hook").unwrap();
    let told = Told::new(scenario, ground, |root| {
        for path in [VFIO_CONF, "etc/mkinitcpio.conf.d/95-neuron-vfio.conf"] {
            // After a revert there is none.
            let _ = fs::remove_file(root.join(path));
        }
    })
    .unwrap();
    for built in &told.applied {
        assert_eq!(Image::unpack(&built.path).ours(), Vec::<String>::new(), "{}", built.name);
    }
    assert!(!told.applied.is_empty());
}
