//! The domains that we defined, as the state directory remembers them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ProvisionError;
use super::guest::refused;
use crate::apply::{Options, Store, View};
use crate::guest::capabilities::Capabilities;
use crate::guest::existing::is_same;
use crate::libvirt::{Libvirt, LibvirtError, SYSTEM};
use crate::root::Root;

/// The file in the state directory.
const DOMAINS: &str = "domains.json";
const SCHEMA: &str = "neuron-domains/2";
/// The form before, in which networks were names alone.
const FIRST: &str = "neuron-domains/1";

/// Everything that was defined and not taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Domains {
    schema: String,
    /// By name.
    pub(super) defined: BTreeMap<String, Defined>,
    /// Networks that come up with the host because a domain needs it.
    pub(super) networks: BTreeSet<Network>,
}

/// A network of a libvirt's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    /// The libvirt that has it.
    pub(super) connect: String,
    /// Its name.
    pub(super) name: String,
}

/// What every form of the file has.
#[derive(Debug, Deserialize)]
struct Head {
    schema: String,
}

/// The first form of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    #[serde(rename = "schema")]
    _schema: String,
    defined: BTreeMap<String, Defined>,
    networks: Vec<String>,
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
        Self { schema: SCHEMA.to_owned(), defined: BTreeMap::new(), networks: BTreeSet::new() }
    }
}

impl From<First> for Domains {
    /// Networks of which nobody noted the libvirt are that one's which has all domains; of several, the one
    /// of the running system.
    fn from(first: First) -> Self {
        let has: BTreeSet<&String> = first.defined.values().map(|known| &known.connect).collect();
        let connect = has.first().filter(|_| has.len() == 1).map_or(SYSTEM, |connect| connect.as_str());
        let connect = connect.to_owned();
        let networks = first.networks.into_iter().map(|name| Network { connect: connect.clone(), name });
        Self { networks: networks.collect(), defined: first.defined, ..Self::default() }
    }
}

impl Domains {
    /// What is remembered; an unreadable file is an error, since a domain of ours could be taken for
    /// somebody else's.
    pub(super) fn load(target: &Root) -> Result<Self, ProvisionError> {
        let Some(bytes) = View::open(target)?.read_state_file(DOMAINS)? else { return Ok(Self::default()) };
        Self::parse(&bytes).map_err(ProvisionError::Domains)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error: serde_json::Error| error.to_string();
        let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
        match head.schema.as_str() {
            SCHEMA => serde_json::from_slice(bytes).map_err(wrong),
            FIRST => serde_json::from_slice::<First>(bytes).map(Self::from).map_err(wrong),
            other => Err(format!("its schema is `{other}`, expected `{SCHEMA}`")),
        }
    }

    /// Takes out the networks of a libvirt, once no domain there needs them any more. Those of others stay:
    /// whoever takes one back there asks that libvirt, which may not answer now.
    pub(super) fn take_unneeded(&mut self, connect: &str) -> Vec<Network> {
        if self.defined.values().any(|known| known.connect == connect) {
            return Vec::new();
        }
        let is_there = |network: &Network| network.connect == connect;
        let (unneeded, others) = std::mem::take(&mut self.networks).into_iter().partition(is_there);
        self.networks = others;
        BTreeSet::into_iter(unneeded).collect()
    }

    /// What libvirt has of a name. Where not even a list comes, that libvirt may be gone; one that lists its
    /// domains and tells no more of one is there.
    pub(super) fn ask(&self, libvirt: &Libvirt, name: &str) -> Result<Option<String>, ProvisionError> {
        let uuid = libvirt.uuid(name).map_err(|said| self.unanswered(name, said))?;
        Ok(uuid.map(|uuid| libvirt.domain_of((name, &uuid))).transpose()?)
    }

    fn unanswered(&self, name: &str, said: LibvirtError) -> ProvisionError {
        match self.defined.get(name) {
            Some(known) => {
                ProvisionError::LibvirtGone { name: name.to_owned(), connect: known.connect.clone(), said }
            }
            None => ProvisionError::Libvirt(said),
        }
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

    /// A record as it was before networks had a libvirt, with domains in these.
    fn first(connects: &[&str]) -> Domains {
        let one = |(at, connect): (usize, &&str)| {
            let capabilities = "<domainCapabilities><domain>kvm</domain><machine>q35</machine><vcpu max='1'/>\
                                </domainCapabilities>";
            let capabilities = Capabilities::parse(capabilities).unwrap();
            let known = serde_json::json!({
                "connect": connect, "uuid": "1-2", "rendered": "", "understood": null,
                "capabilities": capabilities, "former": null,
            });
            (format!("vm{at}"), known)
        };
        let defined: serde_json::Map<String, serde_json::Value> =
            connects.iter().enumerate().map(one).collect();
        let record = serde_json::json!({ "schema": "neuron-domains/1", "defined": defined, "networks": ["default", "default"] });
        Domains::parse(record.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn networks_of_an_older_record_get_the_libvirt_that_had_the_domains() {
        for (connects, wanted) in [
            (&["qemu+ssh://a/system", "qemu+ssh://a/system"][..], "qemu+ssh://a/system"),
            (&["qemu+ssh://a/system", "qemu+ssh://b/system"], SYSTEM),
            (&[], SYSTEM),
        ] {
            let read = first(connects);
            let network = Network { connect: wanted.to_owned(), name: "default".to_owned() };
            assert_eq!(read.networks, BTreeSet::from([network]), "{connects:?}");
            let written = serde_json::to_vec(&read).unwrap();
            assert_eq!(Domains::parse(&written).unwrap(), read, "and is read again");
        }
        for wrong in [
            r#"{"schema":"neuron-domains/3","defined":{},"networks":[]}"#,
            r#"{"schema":"neuron-domains/2","defined":{},"networks":["default"]}"#,
            r#"{"schema":"neuron-domains/1","defined":{},"networks":[{"connect":"a","name":"b"}]}"#,
            "{}",
        ] {
            assert!(Domains::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_network_goes_back_with_the_last_domain_of_its_libvirt() {
        let mut record = first(&["qemu+ssh://a/system"]);
        let other = Network { connect: SYSTEM.to_owned(), name: "default".to_owned() };
        record.networks.insert(other.clone());
        let connect = "qemu+ssh://a/system";
        assert!(record.take_unneeded(connect).is_empty(), "its domain is still there");
        record.defined.clear();
        let taken = record.take_unneeded(connect);
        assert_eq!(taken.iter().map(|network| network.connect.as_str()).collect::<Vec<_>>(), [connect]);
        assert_eq!(record.networks, BTreeSet::from([other.clone()]), "another one's stay");
        assert_eq!(record.take_unneeded(SYSTEM), [other]);
    }

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
