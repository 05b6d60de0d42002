//! The target's kernels: which modules they have, and which of them would take which function.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{FactsError, Machine, PciFunction};
use crate::root::Root;
use crate::text::kernel_modules;

const MODULES: &str = "usr/lib/modules";

/// One kernel of the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kernel {
    /// Its release, the name of its modules directory.
    pub release: String,
    /// The package that it came in (`linux-lts`), where the distribution notes it.
    pub package: Option<String>,
    /// The modules that can be loaded, with `_` for `-`.
    pub modules: BTreeSet<String>,
    /// The modules that are built in, with `_` for `-`.
    pub builtin: BTreeSet<String>,
    /// Which modules match a function's modalias; `None` when the kernel has no list of aliases.
    pub drivers: Option<BTreeMap<String, Vec<String>>>,
}

/// How a kernel provides a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provides {
    /// As a file that can be loaded.
    Module,
    /// Built in.
    Builtin,
    /// Not at all.
    Nothing,
}

impl Kernel {
    /// How this kernel provides a module (named with `_`).
    pub fn provides(&self, module: &str) -> Provides {
        if self.modules.contains(module) {
            Provides::Module
        } else if self.builtin.contains(module) {
            Provides::Builtin
        } else {
            Provides::Nothing
        }
    }
}

/// Reads every kernel that has a list of modules. A directory without one is what a removed
/// kernel left behind (DKMS does that) and cannot be booted.
pub(super) fn read(root: &Root, machine: &Machine) -> Result<Vec<Kernel>, FactsError> {
    let aliases: BTreeSet<String> = machine.functions.values().filter_map(interesting).collect();
    let mut kernels = Vec::new();
    for release in root.list(MODULES)?.unwrap_or_default() {
        let file = |name: &str| root.read(&format!("{MODULES}/{release}/{name}"));
        let Some(dependencies) = file("modules.dep")? else { continue };
        let builtin = file("modules.builtin")?.unwrap_or_default();
        let drivers = file("modules.alias")?.map(|list| {
            let list = String::from_utf8_lossy(&list);
            aliases
                .iter()
                .map(|alias| {
                    let modules = kernel_modules::modules_for(&list, alias);
                    (alias.clone(), modules.into_iter().map(str::to_owned).collect())
                })
                .collect()
        });
        let package = file("pkgbase")?.map(|name| String::from_utf8_lossy(&name).trim().to_owned());
        kernels.push(Kernel {
            package: package.filter(|name| !name.is_empty()),
            modules: module_names(&dependencies),
            builtin: module_names(&builtin),
            release,
            drivers,
        });
    }
    Ok(kernels)
}

/// The modules of a list that begins every line with a module's path.
fn module_names(list: &[u8]) -> BTreeSet<String> {
    let list = String::from_utf8_lossy(list);
    let paths = list.lines().filter_map(|line| line.split(':').next());
    paths.filter_map(kernel_modules::name_of).collect()
}

/// The modalias of what may be given away or kept: a GPU, or what GPUs bring along.
fn interesting(function: &PciFunction) -> Option<String> {
    let wanted = function.class.is_display() || function.class.is_companion_kind();
    if wanted { function.modalias() } else { None }
}
