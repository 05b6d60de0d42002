//! Scenarios: a machine, a target and answers, and what comes out of them.
//!
//! Each is a folder under `tests/scenarios` with `scenario.json`, the answers where it has some
//! (`answers.toml`), the plan as a person sees it (`plan.txt`) and the files that are different
//! afterwards, written out whole (`expected/`). [`Ground`] is a place to play one through.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tempfile::TempDir;

use crate::machine::{self, Machine};
use crate::program::{self, Output};
use crate::tree::{self, Tree};
use crate::{at, target, write};

/// Where the program keeps its state in a target, as a path in a [`Tree`].
pub const STATE: &str = "var/lib/neuron-provisioner";

/// What `scenario.json` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a line.
    pub summary: String,
    /// The machine's id.
    pub machine: String,
    /// The target's name.
    pub target: String,
    /// How `apply` ends.
    pub exit: i32,
    /// What every kernel command line of this system gains, in this order.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// The boot loader and the generator that it stands for, where it does for a pair.
    #[serde(default)]
    pub shows: Option<Combination>,
    /// What the machine's root holds besides: a loader's variables, mounts.
    #[serde(default)]
    pub machine_files: BTreeMap<String, String>,
    /// Whether it ends with passthrough on trial.
    #[serde(default)]
    pub trial: bool,
    /// The name of its folder.
    #[serde(skip)]
    pub name: String,
}

/// A boot loader and a generator of the initramfs, by their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// The boot loader.
    pub loader: String,
    /// The generator.
    pub generator: String,
}

/// The folder of all scenarios.
fn folder() -> PathBuf {
    crate::tests_folder().join("scenarios")
}

/// The names of all scenarios, sorted.
pub fn names() -> io::Result<Vec<String>> {
    crate::names_with(&folder(), "scenario.json")
}

impl Scenario {
    /// Reads `tests/scenarios/<name>/scenario.json`.
    pub fn load(name: &str) -> io::Result<Self> {
        let path = folder().join(name).join("scenario.json");
        let text = fs::read_to_string(&path).map_err(|error| at(&path, "read the scenario", &error))?;
        let mut scenario: Self = serde_json::from_str(&text)
            .map_err(|error| at(&path, "read the scenario", &io::Error::from(error)))?;
        name.clone_into(&mut scenario.name);
        Ok(scenario)
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        folder().join(&self.name)
    }

    /// Its answers, where it has some.
    pub fn answers(&self) -> Option<PathBuf> {
        Some(self.folder().join("answers.toml")).filter(|path| path.is_file())
    }

    /// Whether anything but the reason of a refusal is written.
    pub fn is_carried_out(&self) -> bool {
        self.exit != 3
    }

    /// A machine and a target of its own, with its answers.
    pub fn ground(&self) -> io::Result<Ground> {
        let ground = Ground { answers: self.answers(), ..Ground::new(&self.machine, &self.target)? };
        for (path, text) in &self.machine_files {
            write(&ground.machine().join(path), text)?;
        }
        Ok(ground)
    }
}

/// A machine and a target in a folder that goes when this does.
#[derive(Debug)]
pub struct Ground {
    dir: TempDir,
    /// Given to every run as `--answers`.
    pub answers: Option<PathBuf>,
}

impl Ground {
    /// Lays out both. The machine gets a boot id, so that reboots can be told.
    pub fn new(machine: &str, target: &str) -> io::Result<Self> {
        let ground = Self { dir: tempfile::tempdir()?, answers: None };
        machine::lay_out(&Machine::load(machine)?, &ground.machine())?;
        ground.boot("11111111-1111-4111-8111-111111111111")?;
        target::copy(target, &ground.target())?;
        Ok(ground)
    }

    /// Another target instead, fresh.
    pub fn replace_target(&self, target: &str) -> io::Result<()> {
        fs::remove_dir_all(self.target())?;
        target::copy(target, &self.target())
    }

    /// The machine's root.
    pub fn machine(&self) -> PathBuf {
        self.dir.path().join("machine")
    }

    /// The target's root.
    pub fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    /// A path beside both, for whatever a test keeps.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes the machine one that booted anew.
    pub fn boot(&self, id: &str) -> io::Result<()> {
        write(&self.machine().join("proc/sys/kernel/random/boot_id"), format!("{id}\n"))
    }

    /// Runs the program on both roots, with the answers.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> io::Result<Output> {
        let mut command = program::command()?;
        command.arg("--machine-root").arg(self.machine()).arg("--target-root").arg(self.target());
        let saved_plan = arguments.iter().any(|argument| argument.as_ref() == "--plan");
        if let Some(answers) = self.answers.as_ref().filter(|_| !saved_plan) {
            command.arg("--answers").arg(answers);
        }
        program::output(command.args(arguments))
    }

    /// The target as it is now.
    pub fn tree(&self) -> io::Result<Tree> {
        tree::snapshot(&self.target())
    }
}

/// A tree without what the program keeps for itself.
pub fn without_state(tree: &Tree) -> Tree {
    let is_state = |path: &str| Path::new(path).starts_with(STATE);
    tree.iter()
        .filter(|(path, _)| !is_state(path))
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect()
}
