//! The domains that we defined, as the state directory remembers them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ProvisionError;
use super::guest::refused;
use crate::apply::{Options, Store, View};
use crate::guest::capabilities::Capabilities;
use crate::guest::existing::is_same;
use crate::libvirt::Libvirt;
use crate::root::Root;

/// The file in the state directory.
const DOMAINS: &str = "domains.json";
const SCHEMA: &str = "neuron-domains/1";

/// Everything that was defined and not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Domains {
    schema: String,
    /// By name.
    pub(super) defined: BTreeMap<String, Defined>,
    /// Networks that come up with the host because a domain needs it.
    pub(super) networks: Vec<String>,
}

/// One domain that we defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defined {
    /// The libvirt that has it.
    pub(super) connect: String,
    /// Its UUID.
    pub(super) uuid: String,
    /// What we gave to libvirt.
    pub(super) rendered: String,
    /// What libvirt made of that; `None` until it did, so also where a run was cut off.
    pub(super) understood: Option<String>,
    /// What libvirt could do then.
    pub(super) capabilities: Capabilities,
    /// What bore the name before us and was not ours.
    pub(super) former: Option<Former>,
}

/// A domain of somebody else's, in whose place ours is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Former {
    /// What it was.
    pub(super) xml: String,
    /// Whether it started with the host.
    pub(super) is_automatic: bool,
}

impl Default for Domains {
    fn default() -> Self {
        Self { schema: SCHEMA.to_owned(), defined: BTreeMap::new(), networks: Vec::new() }
    }
}

impl Domains {
    /// What is remembered; an unreadable file is an error, since a domain of ours could be taken for
    /// somebody else's.
    pub(super) fn load(target: &Root) -> Result<Self, ProvisionError> {
        let Some(bytes) = View::open(target)?.read_state_file(DOMAINS)? else { return Ok(Self::default()) };
        let broken = |problem: String| ProvisionError::Domains(problem);
        let read: Self = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if read.schema != SCHEMA {
            return Err(broken(format!("its schema is `{}`, expected `{SCHEMA}`", read.schema)));
        }
        Ok(read)
    }

    /// Remembers it; nothing that is worth it leaves no file.
    pub(super) fn save(&self, target: &Root) -> Result<(), ProvisionError> {
        let mut store = Store::open(target, Options::default())?;
        if self.defined.is_empty() && self.networks.is_empty() {
            return Ok(store.remove_state_file(DOMAINS)?);
        }
        let text =
            serde_json::to_string_pretty(self).map_err(|error| ProvisionError::Domains(error.to_string()))?;
        // Domains may hold passwords of their displays.
        Ok(store.write_secret_file(DOMAINS, format!("{text}\n").as_bytes())?)
    }

    /// Refuses another libvirt than the one that has a domain of ours: there it would look as if somebody
    /// had taken it away, or another one bears its name.
    pub(super) fn of_same_libvirt(&self, name: &str, libvirt: &Libvirt) -> Result<(), ProvisionError> {
        match self.defined.get(name) {
            Some(known) if known.connect != libvirt.uri() => Err(refused(
                format!("vm.{name}"),
                format!(
                    "it was defined in the libvirt at {}, and not in that at {}",
                    known.connect,
                    libvirt.uri()
                ),
                format!(
                    "leave --connect out; to have it in the other one, take it back first: `neuron-provisioner vm \
                     undefine {name}`"
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl Defined {
    /// Whether a domain of this name that bears our mark is as we left it. One that a run was defining
    /// when it was cut off is: nobody noted what libvirt made of it.
    pub(super) fn is_as_written(&self, now: &str) -> bool {
        self.understood.as_ref().is_none_or(|understood| is_same(understood, now))
    }
}

/// Keeps what a domain was, for whoever misses it, beside everything that was kept before; gives the path.
pub(super) fn back_up(target: &Root, uuid: &str, xml: &str) -> Result<String, ProvisionError> {
    let mut store = Store::open(target, Options::default())?;
    let mut name = format!("domain-{uuid}.xml");
    for number in 2_u32.. {
        match store.view().read_state_file(&name)? {
            Some(kept) if kept != xml.as_bytes() => name = format!("domain-{uuid}-{number}.xml"),
            // The same once more, or nothing yet: written anew, the file is nobody else's to read.
            Some(_) | None => break,
        }
    }
    store.write_secret_file(&name, xml.as_bytes())?;
    Ok(format!("/var/lib/neuron-provisioner/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_never_written_over() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("var/lib")).unwrap();
        let root = Root::directory(folder.path()).unwrap();
        let kept: Vec<String> =
            ["<a/>", "<b/>", "<c/>", "<b/>"].map(|xml| back_up(&root, "1-2", xml).unwrap()).into();
        let names: Vec<&str> = kept.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["domain-1-2.xml", "domain-1-2-2.xml", "domain-1-2-3.xml", "domain-1-2-2.xml"]);
        for (path, xml) in kept.iter().zip(["<a/>", "<b/>", "<c/>"]) {
            let file = folder.path().join(path.trim_start_matches('/'));
            assert_eq!(std::fs::read_to_string(&file).unwrap(), xml);
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
