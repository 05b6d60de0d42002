//! Looking Glass on the host's side, for whoever asks: what the answers want, and what is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProvisionError, Source, answers};
use crate::facts::shared_memory::{File, Memories, host_release};
use crate::facts::{Client, Machine, Target, release};
use crate::guest::groups;
use crate::guest::looking_glass::{Means, Memory, TMPFILES, UDEV_RULE, Wanted, faults};
use crate::root::Root;
use crate::text::accounts;

/// In a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GlassState {
    /// The answers want nothing of Looking Glass.
    Off,
    /// They do, and nothing was applied yet.
    NotSetUp,
    /// Everything is as they want it.
    Ready,
    /// Something is not.
    Wrong,
}

/// What is wanted and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookingGlass {
    /// In a word.
    pub state: GlassState,
    /// What the answers want; `None` where that is nothing.
    pub wanted: Option<Wanted>,
    /// Every memory that is wanted.
    pub memories: Vec<MemoryNow>,
    /// Whether everybody who uses one could be seen.
    pub sees_everybody: bool,
    /// Users who are in no group yet that they should be in.
    pub lacks: Vec<(String, &'static str)>,
    /// The client.
    pub client: Client,
    /// Whether the module kvmfr is loaded.
    pub has_kvmfr: bool,
    /// What is not as it should be, in sentences.
    pub problems: Vec<String>,
}

/// One memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryNow {
    /// What is wanted.
    pub memory: Memory,
    /// What stands at its path.
    pub file: Option<File>,
    /// The names of its owner and its group.
    pub names: Option<(String, String)>,
    /// The release of the host application that last wrote into it.
    pub host: Option<String>,
}

/// Looks at Looking Glass; writes nothing.
pub fn looking_glass(machine: &Root, target: &Root, source: &Source) -> Result<LookingGlass, ProvisionError> {
    let answers = answers(target, source)?;
    let facts = Machine::read(machine).map_err(ProvisionError::Machine)?;
    let system = Target::read_for_guests(target, &facts)?;
    let client = Client::read(target)?;
    let has_kvmfr = machine.exists("sys/module/kvmfr")?;
    let now = Memories::read(machine)?;
    let wanted = Wanted::of(&answers, &system);
    let mut glass = LookingGlass {
        state: GlassState::Off,
        memories: Vec::new(),
        sees_everybody: now.sees_everybody,
        lacks: Vec::new(),
        client,
        has_kvmfr,
        problems: Vec::new(),
        wanted: None,
    };
    if let Some(wanted) = wanted {
        glass.lacks = groups::missing(&wanted, &system);
        let one = |memory: &Memory| {
            let file = now.files.get(&memory.path).cloned();
            MemoryNow {
                names: file.as_ref().map(|file| names(file, &system)),
                host: host_release(machine, &memory.path),
                memory: memory.clone(),
                file,
            }
        };
        glass.memories = wanted.memories.iter().map(one).collect();
        glass.problems = problems(&glass, &wanted, &system);
        let rule = if wanted.means == Means::File { TMPFILES } else { UDEV_RULE };
        let is_set_up = target.exists(rule)?;
        glass.state = match (is_set_up, glass.problems.is_empty()) {
            (false, _) => GlassState::NotSetUp,
            (true, true) => GlassState::Ready,
            (true, false) => GlassState::Wrong,
        };
        glass.wanted = Some(wanted);
    }
    Ok(glass)
}

fn names(file: &File, system: &Target) -> (String, String) {
    let name = |path: &str, number: u32| accounts::name_of(system.text(path).unwrap_or_default(), number);
    (name("/etc/passwd", file.node.owner.uid), name("/etc/group", file.node.owner.gid))
}

fn problems(glass: &LookingGlass, wanted: &Wanted, system: &Target) -> Vec<String> {
    let mut found = Vec::new();
    for MemoryNow { memory, file, .. } in &glass.memories {
        let faults = faults(wanted, system, file.as_ref());
        found.extend(faults.iter().map(|fault| format!("{} {}", memory.path, fault.says(wanted, system))));
    }
    found.extend(wanted.missing.iter().map(|user| format!("this system has no user {user}")));
    found.extend(glass.lacks.iter().map(|(user, group)| format!("{user} is not in the group {group}")));
    if wanted.means == Means::Kvmfr && !glass.has_kvmfr {
        found.push("the module kvmfr is not loaded".to_owned());
    }
    if let Client::Version(version) = &glass.client
        && let Some(own) = release(version)
    {
        let others = glass.memories.iter().filter_map(|one| Some((one, one.host.as_ref()?)));
        let others = others.filter(|(_, host)| release(host).as_ref() != Some(&own));
        found.extend(others.map(|(one, host)| {
            format!("the client is {own}, and the host application of {} is {host}", one.memory.whose())
        }));
    }
    found
}
