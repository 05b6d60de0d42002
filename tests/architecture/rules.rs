//! The rules, as data: who may not name whom.

/// The top-level modules of the library that rules speak of.
pub(crate) struct Rule {
    /// The modules that are bound by it.
    pub(crate) of: &'static [&'static str],
    /// Paths that they must not name (a module, or one item of it).
    pub(crate) never: &'static [&'static str],
    /// Paths that they may name all the same.
    pub(crate) except: &'static [&'static str],
    /// Why.
    pub(crate) because: &'static str,
}

/// What stands for every module but the rule's own.
pub(crate) const EVERYTHING_ELSE: &str = "*";

/// The import rules of the library.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        of: &["text", "id"],
        never: &[EVERYTHING_ELSE],
        except: &["id"],
        because: "pure text and names need nothing else of the crate",
    },
    Rule {
        of: &["facts"],
        never: &["policy", "step", "plan", "apply"],
        // What stands at a path is a fact; what is done about it is not.
        except: &["step::FileState", "step::Owner"],
        because: "facts read, they never judge or write",
    },
    Rule {
        of: &["policy"],
        never: &["root"],
        except: &[],
        because: "policy is pure: it sees fact types only",
    },
    Rule {
        of: &["bootloader", "initramfs", "guest", "binding"],
        never: &["root", "apply", "bootloader", "initramfs", "guest", "binding"],
        except: &[],
        because: "whoever emits steps neither reads nor writes, and stands alone",
    },
    Rule {
        of: &["apply"],
        never: &["facts", "policy", "bootloader"],
        except: &[],
        because: "apply knows four verbs and no more: a saved plan is applied without deciding again",
    },
    Rule { of: &["verify"], never: &["apply"], except: &[], because: "who checks must not be who wrote" },
    Rule {
        of: &["rebind"],
        never: &["guest", "libvirt"],
        except: &[],
        because: "a libvirt hook that calls back into libvirt deadlocks",
    },
    Rule {
        of: &["libvirt"],
        never: &["facts", "policy", "plan", "apply", "provision"],
        except: &[],
        because: "it asks and does what it is told: what is decided lies elsewhere",
    },
];

/// Packages that only one member may depend on.
pub(crate) const OWNED: &[(&str, &[&str])] = &[
    ("provisioner/cli", &["clap", "clap_complete", "clap_mangen", "console", "dialoguer", "indicatif"]),
    ("calamares-module", &["pyo3"]),
];

/// Crates of the operating system that only some modules of the library may name.
pub(crate) const SYSTEM_MODULES: &[&str] = &["root", "apply", "rebind", "libvirt"];

/// Names that say nothing about what is inside.
pub(crate) const BANNED_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "manager", "types", "misc"];

/// What may stand at the top of the repository, beside dot files.
pub(crate) const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "CHANGELOG.md",
    "README.md",
    "provisioner",
    "calamares-module",
    "iso-profile",
    "archiso-hooks",
    "tests",
    "target",
];

/// How long a file may be, tests apart.
pub(crate) const LONGEST_FILE: usize = 600;

impl Rule {
    /// The paths of `imports` that break this rule when named by `module`.
    pub(crate) fn broken_by<'a>(&self, module: &str, imports: &'a [String]) -> Vec<&'a str> {
        if !self.of.contains(&module) {
            return Vec::new();
        }
        let below = |path: &str, top: &str| path == top || path.starts_with(&format!("{top}::"));
        let own = |path: &str| below(path, module);
        let forbidden = |path: &str| {
            self.never.iter().any(|top| *top == EVERYTHING_ELSE || below(path, top))
                && !self.except.iter().any(|item| below(path, item))
        };
        imports.iter().map(String::as_str).filter(|path| !own(path) && forbidden(path)).collect()
    }
}
