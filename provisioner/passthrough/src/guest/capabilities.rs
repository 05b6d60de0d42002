//! What this host's libvirt and QEMU can do, from `virsh domcapabilities`.
//!
//! Only what is listed there is used: an enlightenment or a firmware that is missing shows at the
//! start of the machine, not when it is defined. Source: libvirt's `formatdomaincaps.rst`.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};
use serde::{Deserialize, Serialize};

/// An answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCapabilities {
    /// It is no XML.
    #[error("it is no XML: {0}")]
    Malformed(String),
    /// It is another document.
    #[error("its outermost element is <{0}>, expected <domainCapabilities>")]
    Other(String),
    /// Something that every answer has is missing.
    #[error("<{0}> is missing in it")]
    Incomplete(&'static str),
}

/// What a domain on this host may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The type of the domain: `kvm`, or `qemu` where there is no KVM.
    pub domain_type: String,
    /// The machine, `pc-q35-9.1`.
    pub machine: String,
    /// The most processors that a domain may have.
    pub most_vcpus: u32,
    /// Whether firmware is chosen by its features.
    pub has_efi: bool,
    /// Whether a firmware that checks signatures is there.
    pub has_secure_boot: bool,
    /// Modes of the processor: `host-passthrough`, `host-model`, `maximum`.
    pub cpu_modes: BTreeSet<String>,
    /// Whether a TPM 2.0 can be emulated.
    pub has_tpm: bool,
    /// Hyper-V enlightenments.
    pub hyperv: BTreeSet<String>,
    /// Kinds of remote display.
    pub graphics: BTreeSet<String>,
    /// Models of video devices.
    pub video: BTreeSet<String>,
    /// Kinds of channels to the guest.
    pub channels: BTreeSet<String>,
    /// Whether libvirt and QEMU are new enough for sound to `PipeWire`.
    #[serde(default)]
    pub has_pipewire: bool,
}

impl Capabilities {
    /// Reads what `virsh domcapabilities` printed.
    pub fn parse(text: &str) -> Result<Self, InvalidCapabilities> {
        let document =
            Document::parse(text).map_err(|error| InvalidCapabilities::Malformed(error.to_string()))?;
        let root = document.root_element();
        if !root.has_tag_name("domainCapabilities") {
            return Err(InvalidCapabilities::Other(root.tag_name().name().to_owned()));
        }
        let required = |name: &'static str| {
            let text = child(root, name).and_then(|node| node.text()).map(str::trim);
            text.filter(|text| !text.is_empty()).ok_or(InvalidCapabilities::Incomplete(name))
        };
        let most_vcpus = child(root, "vcpu").and_then(|node| node.attribute("max")?.parse().ok());
        let devices = child(root, "devices");
        let device = |name: &str| devices.and_then(|devices| child(devices, name)).filter(is_supported);
        let values = |name: &str, list: &str| device(name).map(|node| listed(node, list)).unwrap_or_default();
        let os = child(root, "os").filter(is_supported);
        let loader = os.and_then(|os| child(os, "loader")).filter(is_supported);
        let modes = child(root, "cpu").into_iter().flat_map(|cpu| cpu.children());
        let hyperv = child(root, "features").and_then(|features| child(features, "hyperv"));
        Ok(Self {
            domain_type: required("domain")?.to_owned(),
            machine: required("machine")?.to_owned(),
            most_vcpus: most_vcpus.ok_or(InvalidCapabilities::Incomplete("vcpu"))?,
            has_efi: os.is_some_and(|os| listed(os, "firmware").contains("efi")),
            has_secure_boot: loader.is_some_and(|loader| listed(loader, "secure").contains("yes")),
            cpu_modes: modes
                .filter(|mode| mode.has_tag_name("mode") && is_supported(mode))
                .filter_map(|mode| mode.attribute("name").map(str::to_owned))
                .collect(),
            has_tpm: values("tpm", "backendModel").contains("emulator")
                && (values("tpm", "backendVersion").contains("2.0") || lacks_versions(device("tpm"))),
            hyperv: hyperv.filter(is_supported).map(|node| listed(node, "features")).unwrap_or_default(),
            graphics: values("graphics", "type"),
            video: values("video", "modelType"),
            channels: values("channel", "type"),
            has_pipewire: has_pipewire(root),
        })
    }

    /// Whether libvirt could ask QEMU for its Hyper-V enlightenments, which QEMU tells since 8.0. Else it
    /// lists none, or only those that have a number or a text by default: libvirt 9.0 with QEMU 7.2 and KVM
    /// lists `spinlocks` and `vendor_id`. Source: libvirt's `virQEMUCapsProbeHypervCapabilities`.
    pub fn knows_hyperv(&self) -> bool {
        self.hyperv.contains("relaxed")
    }
}

/// QEMU has it since 8.1 and libvirt since 9.10, and no list names it. A versioned machine is called after
/// QEMU; of libvirt, what it says of `ps2`, which came some releases later, is taken.
fn has_pipewire(root: Node<'_, '_>) -> bool {
    let machine = child(root, "machine").and_then(|node| node.text()).unwrap_or_default();
    let version = machine.trim().strip_prefix("pc-q35-").and_then(|version| version.split_once('.'));
    let version = version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let is_newer = child(root, "features").is_some_and(|features| child(features, "ps2").is_some());
    is_newer && version.is_some_and(|version: (u32, u32)| version >= (8, 1))
}

/// Before libvirt 8.8 the versions of a TPM were not listed, and an emulated one could be 2.0.
fn lacks_versions(tpm: Option<Node<'_, '_>>) -> bool {
    tpm.is_some_and(|tpm| listed(tpm, "backendVersion").is_empty())
}

fn child<'a, 'b>(of: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    of.children().find(|node| node.has_tag_name(name))
}

fn is_supported(node: &Node<'_, '_>) -> bool {
    node.attribute("supported") == Some("yes")
}

/// The values of an `<enum name='...'>`.
fn listed(node: Node<'_, '_>, name: &str) -> BTreeSet<String> {
    let lists =
        node.children().filter(|list| list.has_tag_name("enum") && list.attribute("name") == Some(name));
    let values = lists.flat_map(|list| list.children()).filter(|value| value.has_tag_name("value"));
    values.filter_map(|value| value.text().map(|text| text.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "<domainCapabilities><domain>kvm</domain><machine>pc-q35-9.1</machine><vcpu max='288'/>
        <os supported='yes'><enum name='firmware'><value>efi</value></enum>
        <loader supported='yes'><enum name='secure'><value>yes</value><value>no</value></enum></loader></os>
        <cpu><mode name='host-passthrough' supported='yes'/><mode name='maximum' supported='no'/></cpu>
        <devices><tpm supported='yes'><enum name='backendModel'><value>emulator</value></enum></tpm>
        <graphics supported='no'><enum name='type'><value>spice</value></enum></graphics></devices>
        <features><hyperv supported='yes'><enum name='features'><value>relaxed</value></enum></hyperv></features>
        </domainCapabilities>";

    #[test]
    fn only_what_is_supported_counts() {
        let read = Capabilities::parse(SHORT).unwrap();
        assert_eq!(
            (read.domain_type.as_str(), read.machine.as_str(), read.most_vcpus),
            ("kvm", "pc-q35-9.1", 288)
        );
        assert!(read.has_efi && read.has_secure_boot && read.has_tpm);
        assert_eq!(read.cpu_modes, BTreeSet::from(["host-passthrough".to_owned()]));
        assert_eq!(read.hyperv, BTreeSet::from(["relaxed".to_owned()]));
        assert!(read.graphics.is_empty(), "they are not supported");
        assert!(!read.has_pipewire, "this libvirt is old");
        let newer = SHORT.replace("<features>", "<features><ps2 supported='yes'/>");
        for (machine, has_it) in
            [("9.1", true), ("10.0", true), ("8.1", true), ("8.0", false), ("7.2", false), ("noble", false)]
        {
            let text = newer.replace("pc-q35-9.1", &format!("pc-q35-{machine}"));
            assert_eq!(Capabilities::parse(&text).unwrap().has_pipewire, has_it, "{machine}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert!(matches!(Capabilities::parse("error: no"), Err(InvalidCapabilities::Malformed(_))));
        assert!(matches!(Capabilities::parse("<domain/>"), Err(InvalidCapabilities::Other(_))));
        let without = SHORT.replace("<machine>pc-q35-9.1</machine>", "");
        assert_eq!(Capabilities::parse(&without), Err(InvalidCapabilities::Incomplete("machine")));
        let old = SHORT.replace(
            "emulator</value></enum>",
            "emulator</value></enum><enum name='backendVersion'><value>1.2</value></enum>",
        );
        assert!(!Capabilities::parse(&old).unwrap().has_tpm, "1.2 is not enough");
    }
}
