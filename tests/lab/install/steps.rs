//! What a machine of the lab is told to do after it has booted, and what must be true then.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kernel::run;
use crate::machine::Function;

/// Shell lines in their order, with the checks among them; a folder of files goes along.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    lines: String,
    names: Vec<String>,
}

impl Steps {
    /// A line of shell.
    pub(crate) fn then(mut self, line: &str) -> Self {
        self.lines.push_str(line);
        self.lines.push('\n');
        self
    }

    /// What a shell word becomes is exactly this.
    pub(crate) fn check(self, name: &str, found: &str, wanted: &str) -> Self {
        self.named(name).then(&format!("check '{name}' \"{found}\" '{wanted}'"))
    }

    /// What a shell word becomes has this in it.
    pub(crate) fn contains(self, name: &str, found: &str, part: &str) -> Self {
        self.named(name).then(&format!("contains '{name}' \"{found}\" '{part}'"))
    }

    /// Lines of a script that is run make this check.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// This function is with this driver.
    pub(crate) fn has_driver(self, function: Function, driver: &str) -> Self {
        let address = function.address;
        self.check(&format!("{address} is with {driver}"), &format!("$(driver {address})"), driver)
    }

    /// All of these are with vfio-pci.
    pub(crate) fn with_vfio(self, functions: &[Function]) -> Self {
        functions.iter().fold(self, |steps, function| steps.has_driver(*function, "vfio-pci"))
    }

    /// All of these are with the host's own drivers.
    pub(crate) fn with_host(self, functions: &[Function]) -> Self {
        functions.iter().fold(self, |steps, function| steps.has_driver(*function, function.model.driver()))
    }

    /// The host shows its console on this GPU.
    pub(crate) fn picture_on(self, gpu: Function) -> Self {
        let address = gpu.address;
        self.check(&format!("the console is on {address}"), &format!("$(picture {address})"), "yes")
    }

    /// What the early hook left.
    pub(crate) fn hook_says(self, result: &str, reason: &str) -> Self {
        let steps = self.check(&format!("the hook says {result}"), "$(claim result)", result);
        steps.contains(&format!("its reason names: {reason}"), "$(claim reason)", reason)
    }

    /// The same on fresh lines that are theirs alone: what a firmware prints ends without one, and systemd,
    /// which tells until then what it starts, would go on telling that it waits (SIGRTMIN+21 has it stop).
    pub(crate) fn behind_firmware(&self) -> Self {
        Self { lines: format!("kill -55 1\necho\n{}", self.lines), names: self.names.clone() }
    }

    /// The names of all checks.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Writes an archive of the steps, with what lies in a folder beside them.
    pub(crate) fn archive(&self, folder: &Path, to: &Path) -> io::Result<()> {
        fs::write(folder.join("steps"), &self.lines)?;
        copy(&project("tests/lab/install/functions"), &folder.join("functions"))?;
        let mut command = Command::new("tar");
        command.args(["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
        command.arg("--file").arg(to).arg("--directory").arg(folder).arg(".");
        run(&mut command).map(drop)
    }
}

/// Copies files and folders into a folder; modes stay.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    run(Command::new("cp").args(["-r", "--preserve=mode,links"]).arg("-T").arg(from).arg(to)).map(drop)
}

/// A file or folder of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    neuron_tests::tests_folder().join("..").join(path)
}
