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
        // depmod lists what can be loaded alone; what is built in the kernel's own build lists.
        let inside = builtin_aliases(&file("modules.builtin.modinfo")?.unwrap_or_default());
        let drivers = file("modules.alias")?.map(|list| {
            let list = String::from_utf8_lossy(&list).into_owned() + "\n" + &inside;
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

/// The aliases of built-in modules, as lines of `modules.alias`. `modules.builtin.modinfo` holds
/// `module.key=value`, each with a zero byte behind it (`scripts/Makefile.vmlinux`, since Linux 5.2).
fn builtin_aliases(modinfo: &[u8]) -> String {
    let line = |entry: &[u8]| {
        let entry = String::from_utf8_lossy(entry);
        let (module, pattern) = entry.split_once(".alias=")?;
        pattern.starts_with("pci:").then(|| format!("alias {pattern} {module}\n"))
    };
    modinfo.split(|byte| *byte == 0).filter_map(line).collect()
}

/// The modalias of what may be given away or kept: a GPU, what GPUs bring along, and whatever else is
/// known in full: what shares a group with these, and what the answers name.
fn interesting(function: &PciFunction) -> Option<String> {
    let is_full = function.subsystem.is_some() && !function.class.is_bridge();
    let wanted = is_full || function.class.is_display() || function.class.is_companion_kind();
    if wanted { function.modalias() } else { None }
}
