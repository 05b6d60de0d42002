//! Reads the PCI functions: `class` of every one, the rest only near a GPU.
//!
//! Near means: in a GPU's slot, in an IOMMU group with such a function, or sound that may belong
//! to an Intel card behind its own switch. What somebody names is read like a GPU. Of functions that could be mistaken for one of these
//! (same base class) the ids are read as well. `config` is never opened: that can wake a card.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::FactsError;
use super::iommu::{self, Group};
use super::pci::{Class, PciFunction};
use crate::id::{FunctionName, GroupId, PciAddress, PciId};
use crate::root::Root;

const DEVICES: &str = "sys/bus/pci/devices";
const INTEL: u16 = 0x8086;

/// Functions and the groups that were looked into.
pub(super) struct Functions {
    pub(super) all: BTreeMap<PciAddress, PciFunction>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// The functions that are known in full.
    pub(super) full: BTreeSet<PciAddress>,
    /// Groups that could not be looked into.
    pub(super) unreadable: Vec<String>,
}

/// Reads them; `also` are functions that are read in full though no GPU may be near, and so is what
/// somebody names, with all that is asked of a GPU.
pub(super) fn read(
    root: &Root,
    also: &[PciAddress],
    names: &[FunctionName],
) -> Result<Functions, FactsError> {
    let mut reader = Reader {
        root,
        out: Functions {
            all: BTreeMap::new(),
            groups: BTreeMap::new(),
            full: BTreeSet::new(),
            unreadable: Vec::new(),
        },
    };
    reader.classes()?;
    let gpus: Vec<PciAddress> =
        reader.out.all.values().filter(|f| f.class.is_display()).map(|f| f.address).collect();
    for gpu in &gpus {
        reader.neighbourhood(*gpu)?;
    }
    reader.sound_of_intel_cards(&gpus)?;
    for function in also.iter().filter(|address| !gpus.contains(address)) {
        reader.neighbourhood(*function)?;
    }
    for address in reader.named(names)?.into_iter().filter(|address| !gpus.contains(address)) {
        reader.neighbourhood(address)?;
        reader.whether_it_stays(address)?;
    }
    reader.lookalikes()?;
    Ok(reader.out)
}

struct Reader<'a> {
    root: &'a Root,
    out: Functions,
}

impl Reader<'_> {
    fn classes(&mut self) -> Result<(), FactsError> {
        let names = self.root.list(DEVICES)?.ok_or(FactsError::NoPci)?;
        for name in names {
            let address = PciAddress::from_str(&name).map_err(|_| FactsError::Nonsense {
                path: DEVICES.to_owned(),
                value: name.clone(),
                wanted: "PCI addresses",
            })?;
            // A function that was unplugged between the listing and now is simply gone.
            let path = format!("{DEVICES}/{address}/class");
            let Some(class) = number(self.root, &path)? else { continue };
            if class > 0x00ff_ffff {
                let value = format!("{class:#x}");
                return Err(FactsError::Nonsense { path, value, wanted: "a class of six digits" });
            }
            self.out.all.insert(address, PciFunction::bare(address, Class(class)));
        }
        Ok(())
    }

    /// Reads a GPU, its slot, and whatever shares a group with these.
    fn neighbourhood(&mut self, gpu: PciAddress) -> Result<(), FactsError> {
        let slot: Vec<PciAddress> =
            self.out.all.keys().copied().filter(|other| other.same_slot(gpu)).collect();
        for address in slot {
            self.function(address)?;
            self.group_of(address)?;
        }
        Ok(())
    }

    /// The functions that bear these names. For an id that is all with this id, so all are asked.
    fn named(&mut self, names: &[FunctionName]) -> Result<Vec<PciAddress>, FactsError> {
        let mut found = Vec::new();
        for name in names {
            match *name {
                FunctionName::Address(address) => found.push(address),
                FunctionName::Id(id) => {
                    for (address, function) in &mut self.out.all {
                        if function.id.is_none() {
                            function.id = pair(self.root, *address, "vendor", "device")?;
                        }
                        found.extend((function.id == Some(id)).then_some(*address));
                    }
                }
            }
        }
        Ok(found)
    }

    /// What else is asked of GPUs alone: whether it can be unplugged and reset.
    fn whether_it_stays(&mut self, address: PciAddress) -> Result<(), FactsError> {
        if let Some(function) = self.out.all.get_mut(&address) {
            reset_and_removal(self.root, function)?;
        }
        Ok(())
    }

    fn group_of(&mut self, address: PciAddress) -> Result<(), FactsError> {
        let Some(id) = self.out.all.get(&address).and_then(|function| function.group) else {
            return Ok(());
        };
        if self.out.groups.contains_key(&id) {
            return Ok(());
        }
        let group = match iommu::group(self.root, id) {
            Ok(group) => group,
            // What is not known is not in `groups`, and nothing of such a group is given away.
            Err(error) => {
                if !self.out.unreadable.contains(&error.path) {
                    self.out.unreadable.push(error.path);
                }
                return Ok(());
            }
        };
        for member in &group.members {
            self.function(*member)?;
        }
        self.out.groups.insert(id, group);
        Ok(())
    }

    /// An Intel card's sound sits on another bus, behind the card's own switch, so where there is
    /// such a card every sound function may be its.
    fn sound_of_intel_cards(&mut self, gpus: &[PciAddress]) -> Result<(), FactsError> {
        let has_card = |gpu: &PciAddress| {
            gpu.bus() != 0 && self.out.all.get(gpu).is_some_and(|function| function.vendor() == INTEL)
        };
        if !gpus.iter().any(has_card) {
            return Ok(());
        }
        let sound: Vec<PciAddress> =
            self.out.all.values().filter(|f| f.class.is_audio()).map(|f| f.address).collect();
        for address in sound {
            self.function(address)?;
            self.group_of(address)?;
        }
        Ok(())
    }

    /// Ids of all functions that share a base class with one that was read: a twin of a GPU or of
    /// its sound would be taken by `ids=` as well.
    fn lookalikes(&mut self) -> Result<(), FactsError> {
        let kinds: BTreeSet<u8> = self
            .out
            .full
            .iter()
            .filter_map(|address| self.out.all.get(address))
            .filter(|function| !function.class.is_bridge())
            .map(|function| function.class.base())
            .collect();
        for (address, function) in &mut self.out.all {
            if !self.out.full.contains(address)
                && !function.class.is_bridge()
                && kinds.contains(&function.class.base())
            {
                function.id = pair(self.root, *address, "vendor", "device")?;
            }
        }
        Ok(())
    }

    /// Reads all of one function, once.
    fn function(&mut self, address: PciAddress) -> Result<(), FactsError> {
        let Some(function) = self.out.all.get_mut(&address) else { return Ok(()) };
        if !self.out.full.insert(address) {
            return Ok(());
        }
        let at = |file: &str| format!("{DEVICES}/{address}/{file}");
        function.id = pair(self.root, address, "vendor", "device")?;
        if function.id.is_none() {
            // Unplugged since its class was read: the kernel shows ids of whatever is there.
            self.out.all.remove(&address);
            return Ok(());
        }
        function.group = link_name(self.root, &at("iommu_group"))?
            .map(|name| parse(&name, &at("iommu_group"), "a link to an IOMMU group"))
            .transpose()?
            .map(GroupId);
        if function.class.is_bridge() {
            return Ok(());
        }
        function.subsystem = pair(self.root, address, "subsystem_vendor", "subsystem_device")?;
        function.revision = revision(self.root, at("revision"))?;
        function.driver = link_name(self.root, &at("driver"))?;
        function.parents = parents(self.root, address)?;
        function.is_virtual_function = self.root.read_link(&at("physfn"))?.is_some();
        if function.class.kind() == 0x0300 {
            function.boot_vga = flag(self.root, at("boot_vga"))?;
        }
        if function.class.is_display() {
            reset_and_removal(self.root, function)?;
            function.regions =
                self.root.attribute(&at("resource"))?.map_or_else(Vec::new, |text| regions(&text));
        }
        Ok(())
    }
}

fn reset_and_removal(root: &Root, function: &mut PciFunction) -> Result<(), FactsError> {
    let at = |file: &str| format!("{DEVICES}/{}/{file}", function.address);
    let is_removable = root.attribute(&at("removable"))?.as_deref() == Some("removable");
    let methods = root.attribute(&at("reset_method"))?;
    function.is_removable = is_removable;
    function.reset_methods = methods.map(|text| text.split_whitespace().map(str::to_owned).collect());
    Ok(())
}

/// A hexadecimal attribute like `0x10de`; `None` when it is not there.
fn number(root: &Root, path: &str) -> Result<Option<u32>, FactsError> {
    let Some(text) = root.attribute(path)? else { return Ok(None) };
    let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
    match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
        Some(number) => Ok(Some(number)),
        None => {
            Err(FactsError::Nonsense { path: path.to_owned(), value: text, wanted: "a number like 0x10de" })
        }
    }
}

/// The silicon's revision, one byte; `None` when it is not there.
fn revision(root: &Root, path: String) -> Result<Option<u8>, FactsError> {
    let Some(value) = number(root, &path)? else { return Ok(None) };
    u8::try_from(value).map(Some).map_err(|_| FactsError::Nonsense {
        path,
        value: format!("{value:#x}"),
        wanted: "a number below 0x100",
    })
}

/// An attribute that is `0` or `1`; `None` when it is not there.
fn flag(root: &Root, path: String) -> Result<Option<bool>, FactsError> {
    match root.attribute(&path)?.as_deref() {
        None => Ok(None),
        Some("0") => Ok(Some(false)),
        Some("1") => Ok(Some(true)),
        Some(other) => Err(FactsError::Nonsense { path, value: other.to_owned(), wanted: "0 or 1" }),
    }
}

/// Two 16-bit attributes as one id; `None` when the second is not there.
fn pair(root: &Root, address: PciAddress, vendor: &str, device: &str) -> Result<Option<PciId>, FactsError> {
    let half = |file: &str| -> Result<Option<u16>, FactsError> {
        let path = format!("{DEVICES}/{address}/{file}");
        let Some(value) = number(root, &path)? else { return Ok(None) };
        u16::try_from(value).map(Some).map_err(|_| FactsError::Nonsense {
            path,
            value: format!("{value:#x}"),
            wanted: "a number below 0x10000",
        })
    };
    Ok(half(vendor)?.zip(half(device)?).map(|(vendor, device)| PciId { vendor, device }))
}

/// The last component of where a link points to.
fn link_name(root: &Root, path: &str) -> Result<Option<String>, FactsError> {
    Ok(root.read_link(path)?.and_then(|to| to.rsplit('/').next().map(str::to_owned)))
}

fn parse<T: FromStr>(text: &str, path: &str, wanted: &'static str) -> Result<T, FactsError> {
    text.parse().map_err(|_| FactsError::Nonsense { path: path.to_owned(), value: text.to_owned(), wanted })
}

/// The bridges above a function: the kernel nests device directories the way the buses are nested.
fn parents(root: &Root, address: PciAddress) -> Result<Vec<PciAddress>, FactsError> {
    let link = root.read_link(&format!("{DEVICES}/{address}"))?.unwrap_or_default();
    let chain = link.split('/').filter_map(|part| part.parse().ok());
    Ok(chain.filter(|parent| *parent != address).collect())
}

/// Region sizes from `resource`: lines of start, end and flags; an unused region is all zero.
fn regions(text: &str) -> Vec<u64> {
    let size = |line: &str| {
        let mut fields = line.split_whitespace().map(|field| {
            field
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .unwrap_or_default()
        });
        let (start, end) = (fields.next()?, fields.next()?);
        (end > start).then(|| end - start + 1)
    };
    text.lines().take(6).filter_map(size).collect()
}
