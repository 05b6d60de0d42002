//! What must be true of a disk after the power was cut.

use std::io;
use std::path::Path;

use neuron_tests::program;
use neuron_tests::story::{Story, When, in_first_slot, seen};
use neuron_tests::tree;

use crate::recorder::{Mounted, run};

/// Whether a state of the disk is one that a person can live with; else what is wrong.
/// Each of these verbs has to get through from there.
pub(crate) fn judge(story: &Story, disk: &[u8], when: When, next: &[&str]) -> io::Result<Result<(), String>> {
    let scratch = neuron_tests::scratch()?;
    let file = scratch.path().join("disk");
    std::fs::write(&file, disk)?;
    let mounted = match Mounted::new(&file) {
        Ok(mounted) => mounted,
        Err(error) => return Ok(Err(format!("it does not mount: {error}"))),
    };
    let found = story.look(&mounted.root(), when)?;
    if !found.is_empty() {
        return Ok(Err(found.join("; ")));
    }
    mounted.unmount()?;
    let looked_at = std::fs::read(&file)?;
    for verb in next {
        std::fs::write(&file, &looked_at)?;
        let mounted = Mounted::new(&file)?;
        let finished = finishes(story, &mounted.root(), verb)?;
        mounted.unmount()?;
        if finished.is_err() {
            return Ok(finished);
        }
    }
    Ok(Ok(()))
}

/// The next run gets through, and leaves what it should.
fn finishes(story: &Story, root: &Path, verb: &str) -> io::Result<Result<(), String>> {
    let mut command = program::command()?;
    command.arg("--machine-root").arg(&story.machine).arg("--target-root").arg(root);
    let output = program::output(command.args([verb, "--yes"]))?;
    if ![0, 4].contains(&output.code) {
        return Ok(Err(format!("{verb} afterwards ends with {}: {}", output.code, output.stderr)));
    }
    let end = if verb == "apply" { &story.applied } else { &story.original };
    let differences = tree::diff(end, &in_first_slot(seen(root)?));
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    if told.is_empty() {
        return Ok(Ok(()));
    }
    Ok(Err(format!("after {verb}: {}", told.join(", "))))
}

/// Whether `e2fsck` has nothing to complain of once the journals were played back.
pub(crate) fn check_file_systems(disk: &[u8]) -> io::Result<()> {
    let scratch = neuron_tests::scratch()?;
    let file = scratch.path().join("disk");
    std::fs::write(&file, disk)?;
    Mounted::new(&file)?.unmount()?;
    for part in crate::recorder::parts(&std::fs::read(&file)?) {
        std::fs::write(&file, part)?;
        run(std::process::Command::new("e2fsck").args(["-f", "-n"]).arg(&file))?;
    }
    Ok(())
}
