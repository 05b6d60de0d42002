//! Which of libvirt's daemons starts here.

use super::FactsError;
use crate::root::{ReadError, Root};

/// Folders in which systemd keeps what starts by itself.
const WANTS: [&str; 2] =
    ["/etc/systemd/system/sockets.target.wants", "/etc/systemd/system/multi-user.target.wants"];

/// libvirt comes as one daemon or as one for each kind of thing; never both, since they take each
/// other's sockets. Source: libvirt's `daemons.rst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LibvirtDaemon {
    /// `libvirtd`.
    Monolithic,
    /// `virtqemud`, `virtnetworkd` and others.
    Modular,
    /// Both are enabled, which libvirt says must not be.
    Both,
    /// None is enabled.
    Neither,
}

impl LibvirtDaemon {
    /// What starts it, for a person to run.
    pub fn how_to_start(self) -> &'static str {
        match self {
            Self::Monolithic => "systemctl start libvirtd.socket",
            Self::Modular => "systemctl start virtqemud.socket virtnetworkd.socket virtlogd.socket",
            Self::Both => {
                "systemctl disable --now libvirtd.socket libvirtd.service, since virtqemud is enabled as well"
            }
            Self::Neither => "systemctl enable --now libvirtd.socket",
        }
    }
}

/// Looks what systemd starts.
pub fn libvirt_daemon(root: &Root) -> Result<LibvirtDaemon, FactsError> {
    let mut enabled = Vec::new();
    for folder in WANTS {
        enabled.extend(root.list(folder)?.unwrap_or_default());
    }
    let starts = |daemon: &str| enabled.iter().any(|unit| unit.split('.').next() == Some(daemon));
    Ok(match (starts("libvirtd"), starts("virtqemud")) {
        (true, true) => LibvirtDaemon::Both,
        (true, false) => LibvirtDaemon::Monolithic,
        (false, true) => LibvirtDaemon::Modular,
        (false, false) => LibvirtDaemon::Neither,
    })
}

/// The schema that libvirt holds domains against when they are defined.
const SCHEMA: &str = "/usr/share/libvirt/schemas/domaincommon.rng";

/// Whether libvirt knows a USB device of the host by the port that it is plugged into: no list of what it
/// can do says so, but its schema does.
pub fn knows_usb_ports(target: &Root) -> Result<bool, ReadError> {
    let schema = target.attribute(SCHEMA)?.unwrap_or_default();
    let address = schema.split_once("<define name=\"usbaddress\">").map(|(_, behind)| behind);
    let address = address.and_then(|behind| behind.split_once("</define>"));
    Ok(address.is_some_and(|(address, _)| address.contains("<attribute name=\"port\">")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enabled_tells_the_daemon() {
        for (units, wanted) in [
            (&["libvirtd.socket", "libvirtd-ro.socket"][..], LibvirtDaemon::Monolithic),
            (&["virtqemud.socket"], LibvirtDaemon::Modular),
            (&["virtqemud.socket", "libvirtd.socket"], LibvirtDaemon::Both),
            (&["libvirt-guests.service"], LibvirtDaemon::Neither),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let wants = folder.path().join(WANTS[0].trim_start_matches('/'));
            std::fs::create_dir_all(&wants).unwrap();
            for unit in units {
                std::fs::write(wants.join(unit), "").unwrap();
            }
            assert_eq!(libvirt_daemon(&Root::directory(folder.path()).unwrap()).unwrap(), wanted);
        }
    }
}
