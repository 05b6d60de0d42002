//! What the written files do, told by the programs that read them at boot: kmod, bash as mkinitcpio and
//! dracut use it, sh, GRUB's own tools and systemd. Beside each: the untouched target, and a file that the
//! reader must not take.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod combinations;
mod dracut;
mod entries;
mod grub;
mod loaders;
mod mkinitcpio;
mod modprobe;

use std::path::PathBuf;

use neuron_tests::machine::{Function, Machine};
use neuron_tests::readers;
use neuron_tests::scenario::{self, Ground, Scenario};
use neuron_tests::target;

/// A scenario that was carried out, with the untouched target beside it.
struct Applied {
    scenario: Scenario,
    machine: Machine,
    ground: Ground,
    /// Addresses that vfio-pci is to get.
    bind: Vec<String>,
    /// The early hook claims them by address; no ids are written.
    by_address: bool,
}

impl Applied {
    fn new(name: &str) -> Option<Self> {
        let scenario = Scenario::load(name).unwrap();
        if scenario.exit != 4 {
            return None;
        }
        let ground = scenario.ground().unwrap();
        target::copy(&scenario.target, &ground.beside("untouched")).unwrap();
        let plan: serde_json::Value =
            serde_json::from_str(&ground.run(&["plan", "--json"]).unwrap().stdout).unwrap();
        let done = ground.run(&["apply", "--yes"]).unwrap();
        assert_eq!(done.code, 4, "{name}: {}", done.stderr);
        let bind = plan["decision"]["bind"].as_array().unwrap().iter();
        let bind = bind.map(|address| address.as_str().unwrap().to_owned()).collect();
        let by_address = plan["decision"]["match"] == "address";
        let machine = Machine::load(&scenario.machine).unwrap();
        Some(Self { scenario, machine, ground, bind, by_address })
    }

    fn untouched(&self) -> PathBuf {
        self.ground.beside("untouched")
    }

    /// Whether it is dracut that builds the images: then its drop-in was written.
    fn is_for_dracut(&self) -> bool {
        self.ground.target().join("etc/dracut.conf.d/95-neuron-vfio.conf").exists()
    }

    /// Whether functions are claimed at the next boot already.
    fn claims(&self) -> bool {
        !self.ground.target().join("var/lib/neuron-provisioner/candidate.json").exists()
    }

    fn assigned(&self) -> impl Iterator<Item = &Function> {
        self.machine.functions.iter().filter(|function| self.bind.contains(&function.address))
    }

    /// The kernels of the target.
    fn kernels(&self) -> Vec<String> {
        readers::kernels(&self.untouched()).unwrap()
    }
}

/// Every scenario that is carried out, one after the other.
fn for_each(mut check: impl FnMut(&Applied)) -> usize {
    let applied = scenario::names().unwrap().into_iter().filter_map(|name| Applied::new(&name));
    applied.inspect(|applied| check(applied)).count()
}
