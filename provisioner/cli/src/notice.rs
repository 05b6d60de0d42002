//! What a person has to know of GPU passthrough when they log in: a message of the day of this boot
//! (`pam_motd` reads `/run/motd.d` everywhere, and a reboot empties it).

use std::fs;
use std::io;
use std::path::PathBuf;

use neuron_passthrough::root::Root;

use crate::render::{plain, wrapped};

const FOLDER: &str = "run/motd.d";
const NAME: &str = "neuron-provisioner";

/// Leaves a message. That nobody can be told is no reason to fail.
pub(crate) fn leave(machine: &Root, text: &str) {
    let Some(folder) = folder(machine) else { return };
    let text = wrapped(&plain(text), "GPU passthrough: ", "  ") + "\n";
    let left = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(NAME), text));
    if let Err(error) = left {
        tracing::warn!("/{FOLDER}/{NAME}: no message could be left for who logs in: {error}");
    }
}

/// Takes it away: it is not true any more.
pub(crate) fn withdraw(machine: &Root) {
    let Some(folder) = folder(machine) else { return };
    match fs::remove_file(folder.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("/{FOLDER}/{NAME}: the message for who logs in could not be taken away: {error}");
        }
        _ => {}
    }
}

/// A capture has nobody who logs in.
fn folder(machine: &Root) -> Option<PathBuf> {
    Some(machine.path()?.join(FOLDER))
}
