//! Policy over every machine.
use neuron_passthrough::{answers::Answers, facts::Machine, policy, root::Root};
use neuron_tests::machine;
#[test]
fn dump() {
    for name in machine::ids().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        let m = machine::Machine::load(&name).unwrap();
        let t0 = std::time::Instant::now();
        machine::lay_out(&m, dir.path()).unwrap();
        let t1 = std::time::Instant::now();
        let facts = Machine::read(&Root::directory(dir.path()).unwrap()).unwrap();
        let t2 = std::time::Instant::now();
        let j = policy::judge(&facts, &Answers::default());
        let d = &j.decision;
        println!("{name}: {:?} {:?} {:?} {:?}", t1 - t0, t2 - t1, j.iommu, d.verdict);
        let e = &m.expected;
        if e.host_gpu.is_some() && e.host_gpu != d.host_gpu.map(|a| a.to_string()) {
            println!("   HOST {:?} != {:?}", e.host_gpu, d.host_gpu.map(|a| a.to_string()));
        }
        if let Some(p) = &e.passthrough
            && d.bind.iter().map(|a| a.to_string()).collect::<Vec<_>>() != *p
        {
            println!(
                "   BIND {p:?} got {:?} q {:?}",
                d.bind.iter().map(|a| a.to_string()).collect::<Vec<_>>(),
                d.question
            );
            println!(
                "    {:?}",
                j.gpus
                    .iter()
                    .filter(|g| p.contains(&g.address.to_string()))
                    .map(|g| (g.address.to_string(), g.viability))
                    .collect::<Vec<_>>()
            );
            for f in &d.findings {
                println!("      {} {:?} {:?}", f.code, f.severity, f.subject);
            }
        }
        if let Some(s) = &e.iommu_state
            && serde_json::to_value(j.iommu).unwrap() != **s
        {
            println!("   STATE {s} {:?}", j.iommu);
        }
        if let Some(s) = &e.verdict
            && serde_json::to_value(d.verdict).unwrap() != **s
        {
            println!("   VERDICT {s} {:?}", d.verdict);
        }
        for c in &e.findings {
            if !d.findings.iter().any(|f| f.code.to_string() == *c) {
                println!("   MISSING {c}");
            }
        }
        if let Some(v) = e.viable {
            let gs: Vec<_> = j
                .gpus
                .iter()
                .filter(|g| Some(g.address) != d.host_gpu)
                .map(|g| (g.address.to_string(), g.viability))
                .collect();
            if gs.iter().any(|g| (g.1 == policy::Viability::Viable) != v) {
                println!("   VIABLE {v} {gs:?} | {}", &e.why[..e.why.len().min(300)]);
            }
        }
    }
}
