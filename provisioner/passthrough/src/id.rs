//! Names of things: PCI addresses, PCI ids, IOMMU groups, paths inside a root.
//!
//! Every one of them is parsed once, at the edge, and is valid ever after.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is not the name it was meant to be; says what would have been right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {wanted}")]
pub struct InvalidName {
    given: String,
    wanted: &'static str,
}

impl InvalidName {
    fn new(given: &str, wanted: &'static str) -> Self {
        Self { given: given.to_owned(), wanted }
    }
}

/// Where a PCI function sits: `domain:bus:device.function`.
///
/// The domain has four hexadecimal digits, or more where the kernel needs them: Intel VMD makes
/// domains from `10000` upwards. Printed in lower case, as the kernel prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

const ADDRESS: &str = "a PCI address like 0000:01:00.0";

impl PciAddress {
    /// The address `domain:bus:device.function`, unless a part is out of range
    /// (device is below 32, function below 8).
    pub fn new(domain: u32, bus: u8, device: u8, function: u8) -> Option<Self> {
        (device < 32 && function < 8).then_some(Self { domain, bus, device, function })
    }

    /// The PCI domain (segment).
    pub fn domain(self) -> u32 {
        self.domain
    }

    /// The bus number.
    pub fn bus(self) -> u8 {
        self.bus
    }

    /// The device number on the bus, 0 to 31.
    pub fn device(self) -> u8 {
        self.device
    }

    /// The function number in the device, 0 to 7.
    pub fn function(self) -> u8 {
        self.function
    }

    /// Whether both functions sit in one slot (same domain, bus and device).
    pub fn same_slot(self, other: Self) -> bool {
        (self.domain, self.bus, self.device) == (other.domain, other.bus, other.device)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

/// Hexadecimal digits only (`from_str_radix` would also take a sign), `min` to `max` of them.
fn hex(text: &str, min: usize, max: usize) -> Option<u32> {
    let fits = (min..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

impl FromStr for PciAddress {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parse = || {
            let (domain, rest) = text.split_once(':')?;
            let (bus, rest) = rest.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            let byte = |text, digits| u8::try_from(hex(text, digits, digits)?).ok();
            Self::new(hex(domain, 4, 8)?, byte(bus, 2)?, byte(device, 2)?, byte(function, 1)?)
        };
        parse().ok_or_else(|| InvalidName::new(text, ADDRESS))
    }
}

/// `vendor:device` of a PCI function (or of its subsystem), as `lspci -n` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciId {
    /// The vendor, for example `0x10de`.
    pub vendor: u16,
    /// The device, in the vendor's own numbering.
    pub device: u16,
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

impl FromStr for PciId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parse = || {
            let (vendor, device) = text.split_once(':')?;
            let half = |text| u16::try_from(hex(text, 4, 4)?).ok();
            Some(Self { vendor: half(vendor)?, device: half(device)? })
        };
        parse().ok_or_else(|| InvalidName::new(text, "a vendor:device id like 10de:2204"))
    }
}

/// A GPU (or another function) as a person names it in the answers: by place or by model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FunctionName {
    /// The function at this address.
    Address(PciAddress),
    /// The function with this id; it has to be the only one.
    Id(PciId),
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl FromStr for FunctionName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.parse()
            .map(Self::Address)
            .or_else(|_| text.parse().map(Self::Id))
            .map_err(|_| InvalidName::new(text, "a PCI address like 0000:01:00.0 or an id like 10de:2204"))
    }
}

/// The number of an IOMMU group. Numbers have gaps and say nothing by themselves.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct GroupId(pub u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An absolute path inside a root: `/etc/default/grub` means that file of the *target*.
///
/// It has no `.`, `..`, empty component or NUL, so joining it to a root is a plain append;
/// symlinks are the business of [`crate::root`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(String);

impl TargetPath {
    /// The path as text, beginning with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading `/`, to be resolved from the root's directory.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory that holds it; `/` for a top-level entry.
    pub fn parent(&self) -> &str {
        match self.0.rfind('/') {
            Some(0) | None => "/",
            Some(end) => &self.0[..end],
        }
    }

    /// This path with one more component (which may itself hold `/`).
    pub fn join(&self, tail: &str) -> Result<Self, InvalidName> {
        format!("{}/{tail}", self.0).parse()
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TargetPath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let good = text.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
        });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::new(text, "an absolute path without `.`, `..` or empty parts"))
        }
    }
}

/// Text in, text out: the wire form of these names is their `Display`.
macro_rules! as_text {
    ($($name:ident $pattern:literal),* $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    )*};
}

as_text! {
    PciAddress "^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]$",
    PciId "^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$",
    FunctionName "^([0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]|[0-9a-fA-F]{4}:[0-9a-fA-F]{4})$",
    TargetPath "^(/[^/]+)+$",
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_printed_as_the_kernel_prints_them() {
        for text in ["0000:01:00.0", "10000:e1:1f.7", "0001:00:02.1"] {
            assert_eq!(text.parse::<PciAddress>().unwrap().to_string(), text);
        }
        assert_eq!("0000:0A:00.0".parse::<PciAddress>().unwrap().to_string(), "0000:0a:00.0");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "01:00.0", "0000:01:00", "0000:01:20.0", "0000:01:00.8", "+000:01:00.0", "0000:1:00.0"]
        {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_path_cannot_climb() {
        for text in ["", "etc", "/", "/etc/../x", "/etc//x", "/etc/./x", "/etc/", "/a\0b"] {
            assert!(text.parse::<TargetPath>().is_err(), "{text:?}");
        }
        let path: TargetPath = "/etc/default/grub".parse().unwrap();
        assert_eq!((path.parent(), path.file_name()), ("/etc/default", "grub"));
    }

    proptest! {
        #[test]
        fn every_address_survives_text(domain: u32, bus: u8, device in 0u8..32, function in 0u8..8) {
            let address = PciAddress::new(domain, bus, device, function).unwrap();
            prop_assert_eq!(address.to_string().parse::<PciAddress>().unwrap(), address);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<PciAddress>();
            let _ = text.parse::<FunctionName>();
            let _ = text.parse::<TargetPath>();
        }
    }
}
