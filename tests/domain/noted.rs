//! What libvirt notes in a domain by itself when it starts is nobody's change.

use neuron_passthrough::guest::existing::is_same;

use crate::start::emulated;
use crate::{Bench, libvirt};

#[test]
fn a_start_is_no_change() {
    let bench = Bench::new();
    for kind in ["windows11", "linux"] {
        // Of what it needs, only what is there without a daemon: so it comes as far as its TPM.
        let keys = "gpus = \"none\"\nmemory_mib = 1024\nnetwork = { kind = \"user\" }\n";
        let xml = bench.xml(&format!("[vm.{kind}]\nkind = \"{kind}\"\n{keys}"));
        let [before, after] = libvirt::told_around_a_start(&emulated(&xml));
        assert!(is_same(&before, &after), "{before}\n{after}");
        // From libvirt 10.10 with swtpm 0.10 on, there is something.
        println!("{kind}: {} lines before, {} after", before.lines().count(), after.lines().count());
        let edited = after.replacen("<on_crash>destroy", "<on_crash>restart", 1);
        assert!(after != edited && !is_same(&before, &edited), "the control: a change is one");
    }
}
