//! The domains that we defined, as the state directory remembers them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ProvisionError;
use crate::apply::{Options, Store, View};
use crate::guest::capabilities::Capabilities;
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
    /// What libvirt made of that.
    pub(super) understood: String,
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
        Ok(store.write_state_file(DOMAINS, format!("{text}\n").as_bytes())?)
    }
}

/// Keeps what a domain was, for whoever misses it; gives the path.
pub(super) fn back_up(target: &Root, uuid: &str, xml: &str) -> Result<String, ProvisionError> {
    let name = format!("domain-{uuid}.xml");
    Store::open(target, Options::default())?.write_state_file(&name, xml.as_bytes())?;
    Ok(format!("/var/lib/neuron-provisioner/{name}"))
}
