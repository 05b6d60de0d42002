//! A domain that libvirt has already, as `virsh dumpxml` tells it.

mod same;

pub use same::is_same;

use roxmltree::{Document, Node};

use crate::id::PciAddress;

/// The namespace of what we write into a domain's metadata: such a domain is ours.
pub const NAMESPACE: &str = "urn:neuronos:provisioner:1";

/// What has to stay the same when a domain is defined anew: a guest notices if it changes, and
/// Windows wants to be activated again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Its UUID.
    pub uuid: String,
    /// The address of its first network adapter.
    pub mac: Option<String>,
    /// Its machine, `pc-q35-9.1`, where that has PCI Express.
    pub machine: Option<String>,
}

/// What of the host a domain's first network adapter needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NetworkSource {
    /// A network of libvirt's.
    Network(String),
    /// A bridge.
    Bridge(String),
    /// Another interface.
    Interface(String),
    /// Nothing.
    #[default]
    Nothing,
}

/// A domain that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Existing {
    /// What a new definition takes over.
    pub kept: Kept,
    /// Whether we defined it.
    pub is_ours: bool,
    /// Whether its processor is the host's, which the kernel's virtualization lets it use.
    pub needs_kvm: bool,
    /// The files of its disks, media apart.
    pub disks: Vec<String>,
    /// The host's PCI functions that it gets.
    pub functions: Vec<PciAddress>,
    /// The files of its firmware that libvirt chose, where it noted them.
    pub firmware: Vec<String>,
    /// Whether it has a TPM.
    pub has_tpm: bool,
    /// How it reaches the network.
    pub network: NetworkSource,
    /// Its memory in KiB.
    pub memory_kib: Option<u64>,
    /// The only NUMA node on which its memory may lie.
    pub node: Option<u32>,
    /// The size of the huge pages that this is made of, in KiB; 0 for the kernel's usual ones, `None`
    /// without.
    pub hugepage_kib: Option<u64>,
}

impl Existing {
    /// Reads a domain; an error tells what is wrong with it.
    pub fn parse(xml: &str) -> Result<Self, String> {
        let document = Document::parse(xml).map_err(|error| error.to_string())?;
        let root = document.root_element();
        let under = |names: &[&str]| descend(root, names);
        let uuid = under(&["uuid"]).and_then(|node| node.text()).map(str::trim).unwrap_or_default();
        if !root.has_tag_name("domain") || uuid.is_empty() {
            return Err("it is no <domain> with a <uuid>".to_owned());
        }
        let metadata = under(&["metadata"]);
        let devices = under(&["devices"]);
        let all = |name: &'static str| {
            devices.into_iter().flat_map(|node| node.children()).filter(move |node| node.has_tag_name(name))
        };
        let mac = all("interface").find_map(|node| descend(node, &["mac"])?.attribute("address"));
        let machine = under(&["os", "type"]).and_then(|node| node.attribute("machine"));
        let disks = all("disk").filter(|node| node.attribute("device").unwrap_or("disk") == "disk");
        let functions = all("hostdev").filter(|node| node.attribute("type") == Some("pci"));
        Ok(Self {
            kept: Kept {
                uuid: uuid.to_owned(),
                mac: mac.map(str::to_owned),
                machine: machine.filter(|machine| machine.contains("q35")).map(str::to_owned),
            },
            is_ours: metadata.is_some_and(|metadata| {
                metadata.children().any(|node| node.tag_name().namespace() == Some(NAMESPACE))
            }),
            needs_kvm: root.attribute("type") == Some("kvm"),
            disks: disks
                .filter_map(|node| descend(node, &["source"])?.attribute("file").map(str::to_owned))
                .collect(),
            functions: functions.filter_map(function).collect(),
            firmware: firmware(root),
            has_tpm: all("tpm").next().is_some(),
            network: all("interface").next().map(network).unwrap_or_default(),
            memory_kib: under(&["memory"]).and_then(|node| kib(node.text()?, node.attribute("unit"))),
            node: under(&["numatune", "memory"])
                .filter(|memory| matches!(memory.attribute("mode"), None | Some("strict")))
                .and_then(|memory| memory.attribute("nodeset")?.parse().ok()),
            hugepage_kib: under(&["memoryBacking", "hugepages"]).map(|node| {
                let page = descend(node, &["page"]);
                page.and_then(|page| kib(page.attribute("size")?, page.attribute("unit"))).unwrap_or(0)
            }),
        })
    }
}

/// What libvirt notes when it chooses a firmware: the program, and what its memory is made from.
fn firmware(root: Node<'_, '_>) -> Vec<String> {
    let loader = descend(root, &["os", "loader"]).and_then(|node| node.text()).map(str::trim);
    let template = descend(root, &["os", "nvram"]).and_then(|node| node.attribute("template"));
    let paths = loader.into_iter().chain(template).filter(|path| path.starts_with('/'));
    paths.map(str::to_owned).collect()
}

fn network(interface: Node<'_, '_>) -> NetworkSource {
    let from = |name: &str| {
        descend(interface, &["source"]).and_then(|source| source.attribute(name)).map(str::to_owned)
    };
    let network = from("network").map(NetworkSource::Network);
    let bridge = || from("bridge").map(NetworkSource::Bridge);
    network.or_else(bridge).or_else(|| from("dev").map(NetworkSource::Interface)).unwrap_or_default()
}

/// A size in KiB; without a unit, that is libvirt's.
fn kib(number: &str, unit: Option<&str>) -> Option<u64> {
    let number: u64 = number.trim().parse().ok()?;
    match unit {
        None | Some("KiB" | "k") => Some(number),
        Some("MiB" | "M") => number.checked_mul(1 << 10),
        Some("GiB" | "G") => number.checked_mul(1 << 20),
        Some(_) => None,
    }
}

fn descend<'a, 'b>(node: Node<'a, 'b>, names: &[&str]) -> Option<Node<'a, 'b>> {
    names.iter().try_fold(node, |node, name| node.children().find(|child| child.has_tag_name(*name)))
}

/// The address of a hostdev's source, whose numbers are hexadecimal.
fn function(hostdev: Node<'_, '_>) -> Option<PciAddress> {
    let address = descend(hostdev, &["source", "address"])?;
    let number = |name: &str| {
        let text = address.attribute(name)?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    let (domain, bus) = (number("domain")?, number("bus")?);
    format!("{domain:04x}:{bus:02x}:{:02x}.{:x}", number("slot")?, number("function")?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "<domain type='kvm'><name>a</name><uuid>1-2</uuid>
        <memory unit='GiB'>2</memory>
        <memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking>
        <numatune><memory mode='strict' nodeset='1'/></numatune>
        <metadata><n:domain xmlns:n='urn:neuronos:provisioner:1' kind='linux'/></metadata>
        <os><type machine='pc-q35-9.1'>hvm</type><loader secure='yes'>/usr/share/x/code.fd</loader>
        <nvram template='/usr/share/x/vars.fd'>/var/lib/a.fd</nvram></os><devices><tpm model='tpm-crb'/>
        <disk type='file' device='disk'><source file='/srv/a.qcow2'/></disk>
        <disk type='file' device='cdrom'><source file='/srv/a.iso'/></disk>
        <hostdev mode='subsystem' type='pci'><source>
        <address domain='0x0000' bus='0x0a' slot='0x00' function='0x1'/></source></hostdev>
        <hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>
        <interface type='network'><source network='default'/><mac address='52:54:00:00:00:01'/></interface></devices></domain>";

    #[test]
    fn what_a_new_definition_takes_over_is_read() {
        let existing = Existing::parse(DOMAIN).unwrap();
        assert_eq!(
            existing,
            Existing {
                kept: Kept {
                    uuid: "1-2".to_owned(),
                    mac: Some("52:54:00:00:00:01".to_owned()),
                    machine: Some("pc-q35-9.1".to_owned()),
                },
                is_ours: true,
                needs_kvm: true,
                disks: vec!["/srv/a.qcow2".to_owned()],
                functions: vec!["0000:0a:00.1".parse().unwrap()],
                firmware: vec!["/usr/share/x/code.fd".to_owned(), "/usr/share/x/vars.fd".to_owned()],
                has_tpm: true,
                network: NetworkSource::Network("default".to_owned()),
                memory_kib: Some(2 << 20),
                node: Some(1),
                hugepage_kib: Some(1 << 20),
            }
        );
        let emulated = Existing::parse(&DOMAIN.replace("type='kvm'", "type='qemu'")).unwrap();
        assert!(!emulated.needs_kvm);
        let spread = Existing::parse(&DOMAIN.replace("nodeset='1'", "nodeset='0-1'")).unwrap();
        assert_eq!(spread.node, None);
        let foreign = Existing::parse(&DOMAIN.replace("neuronos", "other").replace("q35", "i440fx")).unwrap();
        assert!(!foreign.is_ours && foreign.kept.machine.is_none());
        for (from, to) in [
            ("network='default'", "bridge='br0'"),
            ("network='default'", "dev='eth0' mode='bridge'"),
            ("<source network='default'/>", ""),
        ] {
            let network = Existing::parse(&DOMAIN.replace(from, to)).unwrap().network;
            let wanted = match to.split('=').next() {
                Some("bridge") => NetworkSource::Bridge("br0".to_owned()),
                Some("dev") => NetworkSource::Interface("eth0".to_owned()),
                _ => NetworkSource::Nothing,
            };
            assert_eq!(network, wanted);
        }
        assert!(Existing::parse("<domain/>").is_err());
        assert!(Existing::parse("error: no").is_err());
    }
}
