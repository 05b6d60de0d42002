//! What `looking-glass status` says.

use neuron_passthrough::facts::shared_memory::{Holder, NodeKind};
use neuron_passthrough::facts::{Client, release};
use neuron_passthrough::guest::looking_glass::Means;
use neuron_passthrough::provision::{GlassState, LookingGlass, MemoryNow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `looking-glass status` says (`neuron-looking-glass/1`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GlassReport {
    /// `neuron-looking-glass/1`.
    schema: String,
    /// In a word.
    pub(crate) state: GlassState,
    /// Where the memory comes from, `shm` or `kvmfr`; null where none is wanted.
    pub(crate) transport: Option<String>,
    /// How large each memory is to be, in MiB; null where none is wanted.
    pub(crate) size_mib: Option<u32>,
    /// Every memory that is wanted.
    pub(crate) memories: Vec<MemoryReport>,
    /// Whether everybody who uses a memory could be seen; root sees everybody.
    pub(crate) users_known: bool,
    /// The users of the answers.
    pub(crate) people: Vec<PersonReport>,
    /// The client.
    pub(crate) client: ClientReport,
    /// Whether the module kvmfr is loaded.
    pub(crate) kvmfr_loaded: bool,
    /// What is not as it should be, in sentences.
    pub(crate) problems: Vec<String>,
}

/// One memory.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryReport {
    /// The virtual machine that it belongs to; null where the answers name none.
    pub(crate) vm: Option<String>,
    /// The file or device.
    pub(crate) path: String,
    /// What is there; null where nothing is.
    pub(crate) there: Option<NodeReport>,
    /// The release of the host application that last wrote into it, as that calls itself.
    pub(crate) host_release: Option<String>,
    /// Who uses it, as far as whoever asks may see.
    pub(crate) used_by: Vec<UserReport>,
}

/// A file or a device.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeReport {
    /// `file`, `device` or `other`.
    pub(crate) kind: String,
    /// Its size in bytes; null for what is no file. 0 is right: QEMU makes it as large as the domain says.
    pub(crate) size: Option<u64>,
    /// Its owner's name, or number where that has none.
    pub(crate) owner: String,
    /// The same of its group.
    pub(crate) group: String,
    /// Its permissions, as four octal digits.
    pub(crate) mode: String,
}

/// A process that uses a memory.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserReport {
    /// Its number.
    pub(crate) pid: u32,
    /// What it calls itself.
    pub(crate) program: String,
    /// The virtual machine that it runs; null where it is no QEMU.
    pub(crate) vm: Option<String>,
}

/// A user of the answers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonReport {
    /// The name.
    pub(crate) name: String,
    /// Whether the system has this user.
    pub(crate) exists: bool,
    /// Groups that the user should be in and is not.
    pub(crate) lacks: Vec<String>,
}

/// The Looking Glass client.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientReport {
    /// Whether it is there.
    pub(crate) installed: bool,
    /// The version of its package; null where no package tells.
    pub(crate) version: Option<String>,
    /// The release that this is, like `B7`.
    pub(crate) release: Option<String>,
}

impl From<LookingGlass> for GlassReport {
    fn from(glass: LookingGlass) -> Self {
        let wanted = glass.wanted.as_ref();
        let person = |name: &String, exists: bool| PersonReport {
            name: name.clone(),
            exists,
            lacks: glass
                .lacks
                .iter()
                .filter(|(user, _)| user == name)
                .map(|(_, group)| (*group).to_owned())
                .collect(),
        };
        let mut people = Vec::new();
        if let Some(wanted) = wanted {
            people.extend(wanted.users.iter().map(|name| person(name, true)));
            people.extend(wanted.missing.iter().map(|name| person(name, false)));
        }
        let means = |means: Means| if means == Means::File { "shm" } else { "kvmfr" };
        Self {
            schema: "neuron-looking-glass/1".to_owned(),
            state: glass.state,
            transport: wanted.map(|wanted| means(wanted.means).to_owned()),
            size_mib: wanted.map(|wanted| wanted.mib),
            people,
            memories: glass.memories.into_iter().map(MemoryReport::from).collect(),
            users_known: glass.sees_everybody,
            client: glass.client.into(),
            kvmfr_loaded: glass.has_kvmfr,
            problems: glass.problems,
        }
    }
}

impl From<MemoryNow> for MemoryReport {
    fn from(now: MemoryNow) -> Self {
        let MemoryNow { memory, file, names, host } = now;
        let (owner, group) = names.unwrap_or_default();
        let there = file.as_ref().map(|file| NodeReport {
            kind: match file.node.kind {
                NodeKind::File => "file",
                NodeKind::Device => "device",
                NodeKind::Other => "other",
            }
            .to_owned(),
            size: (file.node.kind == NodeKind::File).then_some(file.node.size),
            owner,
            group,
            mode: format!("{:04o}", file.node.mode),
        });
        let user = |Holder { pid, program, vm }| UserReport { pid, program, vm };
        let used_by = file.into_iter().flat_map(|file| file.holders).map(user).collect();
        Self { vm: memory.vm, path: memory.path, there, host_release: host, used_by }
    }
}

impl From<Client> for ClientReport {
    fn from(client: Client) -> Self {
        let installed = client != Client::Absent;
        let version = match client {
            Client::Version(version) => Some(version),
            Client::Absent | Client::Untold => None,
        };
        Self { installed, release: version.as_deref().and_then(release), version }
    }
}
