//! The domains of `vm render`, judged by the real libvirt: its schema, its QEMU driver's own checks.
//!
//! Where nothing has to start, no daemon runs: virsh carries the driver in itself (`qemu:///embed`), over
//! an empty folder. Else one runs in namespaces of its own ([`daemon`]).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

mod daemon;
mod define;
mod disks;
mod doctor;
mod halting;
mod libvirt;
mod noted;
mod pairs;
mod refusals;
mod start;
mod taken_over;
mod virt_install;

use std::fs;
use std::path::Path;

use neuron_tests::program::Output;
use neuron_tests::scenario::Ground;

/// A machine with a GPU to give away and these processors, a target, and what libvirt can do here.
pub(crate) struct Bench {
    pub(crate) ground: Ground,
    capabilities: std::path::PathBuf,
}

impl Bench {
    /// Eight cores of two threads, 32 GiB.
    pub(crate) fn new() -> Self {
        Self::able_to(libvirt::capabilities())
    }

    /// The same, with all that a host with KVM can do.
    pub(crate) fn of_kvm() -> Self {
        Self::able_to(neuron_tests::tests_folder().join("domain/kvm-capabilities.xml"))
    }

    fn able_to(capabilities: std::path::PathBuf) -> Self {
        Self::on("made-rtx-usbc-igpu", capabilities)
    }

    /// With the functions of this machine.
    pub(crate) fn on(machine: &str, capabilities: std::path::PathBuf) -> Self {
        let bench = Self { ground: Ground::new(machine, "arch-grub").unwrap(), capabilities };
        bench.processors(16, |processor| format!("{},{}", processor % 8, processor % 8 + 8));
        bench.put_machine("proc/meminfo", "MemTotal:       33554432 kB\n");
        let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     enp5s0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        bench.put_machine("proc/net/route", route);
        bench.put_machine("sys/class/net/br0/bridge/bridge_id", "8000.000000000000\n");
        bench
    }

    pub(crate) fn put_machine(&self, path: &str, text: &str) {
        let path = self.ground.machine().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// So many processors, all online; the function says who shares a core.
    pub(crate) fn processors(&self, count: u32, siblings: impl Fn(u32) -> String) {
        let cpus = "sys/devices/system/cpu";
        self.put_machine(&format!("{cpus}/online"), &format!("0-{}\n", count - 1));
        for processor in 0..count {
            let base = format!("{cpus}/cpu{processor}");
            self.put_machine(&format!("{base}/topology/thread_siblings_list"), &siblings(processor));
            self.put_machine(&format!("{base}/cache/index3/level"), "3\n");
            self.put_machine(&format!("{base}/cache/index3/shared_cpu_list"), &format!("0-{}\n", count - 1));
        }
    }

    /// `vm render` with these answers.
    pub(crate) fn render(&self, answers: &str, arguments: &[&str]) -> Output {
        let capabilities = self.capabilities.clone();
        self.render_with(answers, &capabilities, arguments)
    }

    pub(crate) fn render_with(&self, answers: &str, capabilities: &Path, arguments: &[&str]) -> Output {
        let file = self.ground.target().join("etc/neuron-answers.toml");
        fs::write(&file, answers).unwrap();
        let mut all = vec!["vm", "render", "--capabilities", capabilities.to_str().unwrap()];
        all.extend(["--answers", file.to_str().unwrap()]);
        all.extend(arguments);
        self.ground.run(&all).unwrap()
    }

    /// The XML, where there has to be some.
    pub(crate) fn xml(&self, answers: &str) -> String {
        let output = self.render(answers, &[]);
        assert_eq!(output.code, 0, "{answers}\n{}", output.stderr);
        output.stdout
    }
}
