//! What `inspect` says, held against what a shell in the same machine reads from the kernel.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::case::Report;
use crate::machine::Function;

/// One function, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    ids: String,
    class: String,
    driver: Option<String>,
    group: Option<u64>,
    boot_vga: Option<bool>,
}

/// What the kernel says: its functions by address, and how many groups there are.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    functions: BTreeMap<String, Seen>,
    groups: u64,
}

impl Account {
    /// Reads what `account` of `guest/second` wrote.
    pub(crate) fn of(report: &Report) -> Self {
        let mut functions = BTreeMap::new();
        for line in report.console.lines().filter_map(|line| line.strip_prefix("LAB-PCI ")) {
            let [address, ids, class, driver, group, boot_vga] =
                line.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
            let known = |field: &str| (field != "-").then(|| field.to_owned());
            let seen = Seen {
                ids: ids.to_owned(),
                class: class.to_owned(),
                driver: known(driver),
                group: known(group).map(|group| group.parse().unwrap()),
                boot_vga: known(boot_vga).map(|value| value == "1"),
            };
            functions.insert(address.to_owned(), seen);
        }
        let groups = report.console.lines().find_map(|line| line.strip_prefix("LAB-GROUPS "));
        Self { functions, groups: groups.expect(&report.console).parse().unwrap() }
    }

    /// The machine is the one that was described.
    pub(crate) fn has(&self, described: &[Function]) {
        for Function { address, model } in described {
            let seen = self.functions.get(*address).unwrap_or_else(|| panic!("no {address}: {self:#?}"));
            assert_eq!((seen.ids.as_str(), seen.class.as_str()), (model.id(), model.class()), "{address}");
        }
    }

    /// How many groups the kernel has.
    pub(crate) fn groups(&self) -> u64 {
        self.groups
    }

    fn gpus(&self) -> impl Iterator<Item = (&String, &Seen)> {
        self.functions.iter().filter(|(_, seen)| seen.class.starts_with("03"))
    }

    /// The endpoints that share a group with this function, itself among them.
    fn endpoints_beside(&self, seen: &Seen) -> Vec<&str> {
        let together = |(_, other): &(&String, &Seen)| {
            other.group.is_some() && other.group == seen.group && !other.class.starts_with("0604")
        };
        self.functions.iter().filter(together).map(|(address, _)| address.as_str()).collect()
    }
}

/// Where the program does not say what the kernel says.
pub(crate) fn disagreements(document: &Value, kernel: &Account) -> Vec<String> {
    let mut found = Vec::new();
    let mut hold = |what: String, says: &Value, is: Value| {
        if *says != is {
            found.push(format!("{what}: the program says {says}, the kernel {is}"));
        }
    };
    hold("groups".to_owned(), &document["iommu"]["groups"], kernel.groups.into());
    hold("iommu".to_owned(), &Value::from(document["iommu"]["state"] == "on"), (kernel.groups > 0).into());
    let listed = document["gpus"].as_array().cloned().unwrap_or_default();
    let addresses: Vec<&Value> = listed.iter().map(|gpu| &gpu["address"]).collect();
    let there: Vec<&String> = kernel.gpus().map(|(address, _)| address).collect();
    hold("GPUs".to_owned(), &serde_json::json!(addresses), serde_json::json!(there));
    for (gpu, (address, seen)) in listed.iter().zip(kernel.gpus()) {
        let mut field = |name: &str, is: Value| hold(format!("{address} {name}"), &gpu[name], is);
        field("ids", seen.ids.as_str().into());
        field("driver", seen.driver.as_deref().into());
        field("iommu_group", seen.group.into());
        field("boot_vga", seen.boot_vga.into());
        let mut together: Vec<&str> = ["functions", "group_peers"]
            .iter()
            .flat_map(|name| gpu[*name].as_array().into_iter().flatten().filter_map(Value::as_str))
            .collect();
        together.sort_unstable();
        together.dedup();
        for one in kernel.endpoints_beside(seen) {
            let name = format!("{address} has {one} beside it");
            hold(name, &together.contains(&one).into(), true.into());
        }
        let peers = gpu["group_peers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for one in peers {
            let name = format!("{address} shares its group with {one}");
            hold(name, &true.into(), kernel.endpoints_beside(seen).contains(&one).into());
        }
    }
    found
}

/// What `inspect --json` printed.
pub(crate) fn inspected(report: &Report) -> Value {
    let (_, rest) = report.console.split_once("INSPECT-BEGIN").expect(&report.console);
    let (document, _) = rest.split_once("INSPECT-END").expect(&report.console);
    serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}\n{}", report.console))
}
