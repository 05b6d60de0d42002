//! libvirt, asked through `virsh`, and disk images, made by `qemu-img`.
//!
//! No crate links libvirt: see ADR 5. What is decided lies elsewhere; here is only what is asked of
//! those programs, and what they said.

mod image;
mod program;

pub use image::{Image, ImageError, is_file, is_same_file};

use std::collections::BTreeSet;

use program::Program;

/// The libvirt of the running system.
pub const SYSTEM: &str = "qemu:///system";

/// Where the libvirt of the running system keeps its domains, whether it runs or not.
pub(crate) const KEPT: &str = "/etc/libvirt/qemu";

/// Whether a connection URI leads to the libvirt of the running system.
pub fn is_of_this_system(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else { return false };
    let path = rest.split('?').next().unwrap_or_default();
    ["qemu", "qemu+unix"].contains(&scheme) && path == "/system"
}

/// Why libvirt did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibvirtError {
    /// A program of it is not there.
    #[error("{program} cannot be started: {why}")]
    Missing {
        /// Which one.
        program: &'static str,
        /// What the kernel said.
        why: String,
    },
    /// It ended with an error.
    #[error("cannot {attempt}: {said}")]
    Said {
        /// What was asked.
        attempt: String,
        /// What it answered.
        said: String,
    },
}

/// A network of libvirt's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Whether it is up.
    pub is_active: bool,
    /// Whether it comes up with the host.
    pub is_automatic: bool,
}

/// What belongs to a domain's firmware: its variables, and the memory of its TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirmwareState {
    /// It stays: a domain of the same name finds it again, and a disk that is sealed to it opens.
    Keep,
    /// It goes.
    Delete,
}

/// A libvirt that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libvirt {
    uri: String,
}

impl Libvirt {
    /// By its connection URI, [`SYSTEM`].
    pub fn at(uri: &str) -> Self {
        Self { uri: uri.to_owned() }
    }

    /// Its connection URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What a machine with PCI Express can be given here, as XML.
    pub fn capabilities(&self) -> Result<String, LibvirtError> {
        self.virsh("say what libvirt can do", &["domcapabilities", "--machine", "q35"])
    }

    /// The names of all domains, or of those that run.
    pub fn domains(&self, only_running: bool) -> Result<BTreeSet<String>, LibvirtError> {
        let mut arguments = vec!["list", "--name"];
        arguments.extend((!only_running).then_some("--all"));
        Ok(lines(&self.virsh("list the domains", &arguments)?))
    }

    /// What a domain is at its next start, its passwords too; `None` where there is none of that name.
    pub fn domain(&self, name: &str) -> Result<Option<String>, LibvirtError> {
        self.uuid(name)?.map(|uuid| self.domain_of((name, &uuid))).transpose()
    }

    /// The same of a domain whose UUID is known.
    pub(crate) fn domain_of(&self, (name, uuid): (&str, &str)) -> Result<String, LibvirtError> {
        let arguments = ["dumpxml", "--inactive", "--security-info", "--domain", uuid];
        self.virsh(&format!("read domain {name}"), &arguments)
    }

    /// The UUID of a domain. It is all that virsh is told: it would take a name for the number of a
    /// machine that runs, or for the UUID of another one, before it looks for one of that name.
    pub(crate) fn uuid(&self, name: &str) -> Result<Option<String>, LibvirtError> {
        Ok(self.uuids()?.into_iter().find(|(_, there)| there == name).map(|(uuid, _)| uuid))
    }

    /// What the domain with a UUID is called now; `None` where there is none.
    pub fn name_of(&self, uuid: &str) -> Result<Option<String>, LibvirtError> {
        Ok(self.uuids()?.into_iter().find(|(there, _)| there == uuid).map(|(_, name)| name))
    }

    /// The UUID of every domain, and its name.
    fn uuids(&self) -> Result<Vec<(String, String)>, LibvirtError> {
        let text = self.virsh("list the domains", &["list", "--all", "--uuid", "--name"])?;
        let pairs = text.lines().filter_map(|line| line.trim().split_once(' '));
        Ok(pairs.map(|(uuid, name)| (uuid.to_owned(), name.trim().to_owned())).collect())
    }

    /// Whether a domain starts with the host.
    pub fn is_automatic(&self, name: &str) -> Result<bool, LibvirtError> {
        Ok(lines(&self.virsh("list the domains", &["list", "--all", "--autostart", "--name"])?)
            .contains(name))
    }

    /// Defines a domain, held against libvirt's schema first.
    pub fn define(&self, name: &str, xml: &str) -> Result<(), LibvirtError> {
        let attempt = format!("define {name}");
        // Without --validate, what is misspelled is dropped without a word.
        self.program().with_input(xml).run(&attempt, &["define", "--validate", "/dev/stdin"]).map(drop)
    }

    /// Defines a domain that stood there before: libvirt took it once, whatever its schema says now.
    pub fn restore(&self, name: &str, xml: &str) -> Result<(), LibvirtError> {
        let attempt = format!("define {name} as it was");
        self.program().with_input(xml).run(&attempt, &["define", "/dev/stdin"]).map(drop)
    }

    /// Takes a domain's definition away; its disks stay.
    pub fn undefine(&self, (name, uuid): (&str, &str), state: FirmwareState) -> Result<(), LibvirtError> {
        let mut arguments = vec!["undefine", "--domain", uuid];
        arguments.push(if state == FirmwareState::Keep { "--keep-nvram" } else { "--nvram" });
        // libvirt before 8.9 knows no such flag, and never deleted it.
        let knows_tpm = self.virsh("say what undefine can do", &["help", "undefine"])?.contains("--keep-tpm");
        if knows_tpm {
            arguments.push(if state == FirmwareState::Keep { "--keep-tpm" } else { "--tpm" });
        }
        self.virsh(&format!("undefine {name}"), &arguments).map(drop)
    }

    /// Lets a domain start with the host, or not.
    pub fn set_automatic(&self, (name, uuid): (&str, &str), is_automatic: bool) -> Result<(), LibvirtError> {
        let mut arguments = vec!["autostart", "--domain", uuid];
        arguments.extend((!is_automatic).then_some("--disable"));
        self.virsh(&format!("set whether {name} starts with the host"), &arguments).map(drop)
    }

    /// A network by name; `None` where there is none.
    pub fn network(&self, name: &str) -> Result<Option<Network>, LibvirtError> {
        let names = |only: &[&str]| {
            let arguments: Vec<&str> = ["net-list", "--name"].iter().chain(only).copied().collect();
            self.virsh("list the networks", &arguments).map(|text| lines(&text).contains(name))
        };
        if !names(&["--all"])? {
            return Ok(None);
        }
        Ok(Some(Network { is_active: names(&[])?, is_automatic: names(&["--all", "--autostart"])? }))
    }

    /// Brings a network up.
    pub fn start_network(&self, name: &str) -> Result<(), LibvirtError> {
        self.virsh(&format!("start network {name}"), &["net-start", "--network", name]).map(drop)
    }

    /// Takes a network down.
    pub fn stop_network(&self, name: &str) -> Result<(), LibvirtError> {
        self.virsh(&format!("stop network {name}"), &["net-destroy", "--network", name]).map(drop)
    }

    /// Lets a network come up with the host, or not.
    pub fn set_network_automatic(&self, name: &str, is_automatic: bool) -> Result<(), LibvirtError> {
        let mut arguments = vec!["net-autostart", "--network", name];
        arguments.extend((!is_automatic).then_some("--disable"));
        self.virsh(&format!("set whether network {name} comes up with the host"), &arguments).map(drop)
    }

    fn program(&self) -> Program<'_> {
        Program::named("virsh").with_arguments(&["--quiet", "--connect", &self.uri])
    }

    fn virsh(&self, attempt: &str, arguments: &[&str]) -> Result<String, LibvirtError> {
        self.program().run(attempt, arguments)
    }
}

/// Whether a program that libvirt starts by itself is there: `dnsmasq`, `qemu-img`.
pub fn has_program(name: &str) -> bool {
    program::find(name).is_some()
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
