//! The host entry: the way back that stands beside passthrough in every boot menu.
//!
//! Its command line is the original one, without a single parameter of ours, and with two that keep
//! every function with the host, whatever the image holds.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::Proven;
use crate::id::TargetPath;
use crate::policy::KILL_SWITCH;
use crate::step::{Action, FileState, Step};
use crate::text::command_line;

/// What stands behind the title of the entry that it is the twin of.
pub(super) const TITLE: &str = ", without GPU passthrough";

/// How the files of host entries, and the names of entries in GRUB, begin.
pub const NAME: &str = "neuron-host";

/// The second one empties the ids of `modprobe.d` in images that have no early hook: on the command
/// line, a parameter of a module takes the place of all others.
const SWITCHES: [&str; 2] = [KILL_SWITCH, "vfio-pci.ids="];

/// What host entries are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostEntry {
    /// The parameters that earlier applies added.
    pub ours: Vec<String>,
    /// Every parameter that is or was wanted.
    pub wanted: Vec<String>,
    /// What the files of ours held before the first apply.
    pub originals: BTreeMap<TargetPath, String>,
    /// Whether the host entry boots when nobody chooses.
    pub is_default: bool,
    /// The copies of kernels and images that are ours already.
    pub copies: Vec<TargetPath>,
    /// Files of which no copy is made: beside the other copies there is no room for them.
    pub unkept: BTreeSet<String>,
    /// After a boot that was good: what is known of it. None in an apply.
    pub renewal: Option<Proven>,
}

/// What has to change on a command line so that nothing of ours is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WayBack {
    /// Parameters that go.
    pub(super) goes: Vec<String>,
    /// Those that ours had displaced.
    pub(super) returns: Vec<String>,
}

impl HostEntry {
    /// What of ours is on the command lines of a file.
    pub(super) fn way_back(&self, path: &TargetPath) -> WayBack {
        let Some(original) = self.originals.get(path) else {
            return WayBack { goes: self.ours.clone(), returns: Vec::new() };
        };
        let stood = |token: &&String| command_line::words(original).any(|word| word == *token);
        let before = self.ours.iter().filter(|token| !self.wanted.contains(token));
        let all = self.wanted.iter().chain(before);
        WayBack {
            goes: all.filter(|token| !stood(token)).cloned().collect(),
            returns: command_line::displaced(original, &self.wanted),
        }
    }

    /// The host's command line, from the one that stands in a file.
    pub(super) fn line(&self, present: &str, path: &TargetPath) -> String {
        let WayBack { goes, returns } = self.way_back(path);
        let mut line = present.to_owned();
        for token in &returns {
            let key = command_line::Parameter::parse(token);
            let rival = goes.iter().find(|ours| {
                key.same_key(command_line::Parameter::parse(ours))
                    && command_line::tokens(&line).any(|here| here == *ours)
            });
            // What was displaced goes back to its place.
            line = match rival {
                Some(ours) => command_line::replace(&line, ours, token),
                None => command_line::set(&line, std::slice::from_ref(token)),
            };
        }
        let line = command_line::remove(&line, &goes);
        command_line::set(&line, &switches(&line))
    }
}

/// The parameters that keep everything with the host. Somebody's own ids on the command line stay:
/// they take the place of those in `modprobe.d`, too.
pub(super) fn switches(line: &str) -> Vec<String> {
    let has_ids = command_line::value(line, "vfio-pci.ids").is_some();
    SWITCHES.into_iter().filter(|token| *token == KILL_SWITCH || !has_ids).map(str::to_owned).collect()
}

/// The title of an entry's twin.
pub(super) fn title(of: &str) -> String {
    format!("{of}{TITLE}")
}

/// The step that writes a file of the host's way back.
pub(super) fn step(id: &str, path: TargetPath, before: &FileState, text: String) -> Step {
    let title = "Put an entry without passthrough into the boot menu";
    let because = "whatever goes wrong with passthrough, this entry starts the system as it was before";
    Step::write(id, title, because, path, before, text)
}

/// The same for a program.
pub(super) fn program(id: &str, path: TargetPath, before: &FileState, text: String) -> Step {
    let mut step = step(id, path, before, text);
    if let (FileState::Absent, Action::WriteFile { after: FileState::Regular { mode, .. }, .. }) =
        (before, &mut step.action)
    {
        *mode = 0o755;
    }
    step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> TargetPath {
        "/boot/loader/entries/arch.conf".parse().unwrap()
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_of_ours_is_left() {
        let wanted = words("intel_iommu=on iommu=pt");
        let first = HostEntry { wanted: wanted.clone(), ..HostEntry::default() };
        for (original, with_ours, host) in [
            ("root=a rw quiet", "root=a rw quiet intel_iommu=on iommu=pt", "root=a rw quiet"),
            ("root=a iommu=pt rw", "root=a iommu=pt rw intel_iommu=on", "root=a iommu=pt rw"),
            ("intel_iommu=off root=a", "intel_iommu=on root=a iommu=pt", "intel_iommu=off root=a"),
        ] {
            let host = format!("{host} neuron.passthrough=off vfio-pci.ids=");
            assert_eq!(first.line(original, &path()), host);
            let again = HostEntry {
                ours: wanted.clone(),
                wanted: wanted.clone(),
                originals: BTreeMap::from([(path(), format!("options {original}\n"))]),
                ..HostEntry::default()
            };
            assert_eq!(again.line(with_ours, &path()), host, "{original}");
        }
    }

    #[test]
    fn ids_of_somebody_else_stay() {
        let line = HostEntry::default().line("root=a vfio-pci.ids=1:2", &path());
        assert_eq!(line, "root=a vfio-pci.ids=1:2 neuron.passthrough=off");
    }

    proptest! {
        #[test]
        fn it_is_the_original_line_and_the_switches(
            original in "(root=[a-c]|rw|quiet|iommu=(pt|off)|intel_iommu=(on|off)|x)( (rw|quiet|iommu=(pt|off)|y)){0,4}"
        ) {
            let wanted = words("intel_iommu=on iommu=pt");
            let present = command_line::set(&original, &wanted);
            let again = HostEntry {
                ours: Vec::new(),
                wanted: wanted.clone(),
                originals: BTreeMap::from([(path(), original.clone())]),
                ..HostEntry::default()
            };
            let line = again.line(&present, &path());
            let mut have: Vec<&str> = command_line::tokens(&line).collect();
            prop_assert_eq!(have.split_off(have.len() - 2), SWITCHES);
            // A key that stood there twice may come back once.
            have.retain(|token| !token.contains("iommu"));
            let mut before: Vec<&str> = command_line::tokens(&original).collect();
            before.retain(|token| !token.contains("iommu"));
            prop_assert_eq!(have, before);
            for token in &wanted {
                let stood = command_line::tokens(&original).any(|word| word == token);
                prop_assert!(stood || !command_line::tokens(&line).any(|word| word == token));
            }
        }
    }
}
