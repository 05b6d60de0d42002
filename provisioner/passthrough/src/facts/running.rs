//! What the boot that is running tells of its boot loader: whether an entry can be started for one
//! boot only.
//!
//! Not part of [`super::Machine`]: it names entries and mounts, which a capture must not hold. What
//! is not told is absent, and whoever judges takes that for a no.

use crate::root::Root;

/// The vendor of systemd's boot loader interface (<https://systemd.io/BOOT_LOADER_INTERFACE>).
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// The vendor of the variables that the UEFI specification itself defines.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// No variable of the interface is longer; what is, is not read.
const VARIABLE_LIMIT: usize = 64 << 10;
/// `LOAD_OPTION_ACTIVE`, an attribute of what the firmware can start.
const ACTIVE: u32 = 1;
/// GRUB's environment block, in the folder that `grub-install` makes.
pub const GRUB_ENVIRONMENT: &str = "/boot/grub/grubenv";
/// How every environment block begins, and how long it is (`GRUB_ENVBLK_SIGNATURE`,
/// `grub-editenv create`).
const ENVIRONMENT_HEAD: &[u8] = b"# GRUB Environment Block\n";
const ENVIRONMENT_SIZE: usize = 1024;

/// What is known of the loader that started this boot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Whether the machine runs the system that is the target: both name themselves alike.
    pub is_target: bool,
    /// What the loader calls itself (`LoaderInfo`).
    pub loader: Option<String>,
    /// What it can (`LoaderFeatures`).
    pub features: u64,
    /// The names of its entries (`LoaderEntries`).
    pub entries: Vec<String>,
    /// The one that started this boot (`LoaderEntrySelected`).
    pub selected: Option<String>,
    /// The default by a variable of the firmware, over `default` of every file (`LoaderEntryDefault`).
    pub default: Option<String>,
    /// What counts before any default, if it is there and not bad (`LoaderEntryPreferred`).
    pub preferred: Option<String>,
    /// What the firmware itself tries to start and shows (the active ones of `BootOrder`), as text: name and path
    /// are in it.
    pub firmware_options: Vec<String>,
    /// The one that started this boot (`BootCurrent`).
    pub firmware_started: Option<String>,
    /// Whether the command line bears GRUB's mark, `BOOT_IMAGE=`.
    pub has_boot_image: bool,
    /// Where GRUB's environment block lies, where the target has one that GRUB would load.
    pub grub_environment: Option<Place>,
    /// Whether the target's menus of GRUB start `next_entry` once.
    pub grub_menu_asks: bool,
    /// Whether the target has `grub-editenv`.
    pub has_editenv: bool,
}

/// Where a file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file system's type, as the kernel calls it.
    pub file_system: String,
    /// Whether it lies on a partition of a disk: no volume, array or encryption in between.
    pub is_plain_partition: bool,
}

impl Running {
    /// Looks at the machine that runs, and at what its loader reads in the target.
    pub fn read(machine: &Root, target: &Root) -> Self {
        let identity = |root: &Root| root.attribute("etc/machine-id").ok().flatten();
        let line = machine.attribute("proc/cmdline").ok().flatten().unwrap_or_default();
        let number = |bytes: Vec<u8>| Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?));
        let header = target.attribute("/etc/grub.d/00_header").ok().flatten().unwrap_or_default();
        let has = |path: &str| target.exists(path).unwrap_or(false);
        Self {
            is_target: identity(machine).is_some_and(|id| id.len() == 32 && identity(target) == Some(id)),
            loader: texts(machine, "LoaderInfo").into_iter().next(),
            features: variable(machine, "LoaderFeatures").and_then(number).unwrap_or_default(),
            entries: texts(machine, "LoaderEntries"),
            selected: texts(machine, "LoaderEntrySelected").into_iter().next(),
            default: texts(machine, "LoaderEntryDefault").into_iter().next(),
            preferred: texts(machine, "LoaderEntryPreferred").into_iter().next(),
            firmware_options: firmware_options(machine),
            firmware_started: firmware_started(machine),
            has_boot_image: line.split_whitespace().any(|word| word.starts_with("BOOT_IMAGE=")),
            grub_environment: is_environment(target).then(|| place(machine)).flatten(),
            grub_menu_asks: header.contains("next_entry"),
            has_editenv: ["/usr/bin/grub-editenv", "/usr/sbin/grub-editenv"].into_iter().any(has),
        }
    }
}

/// The partition that the loader was started from (`LoaderDevicePartUUID`); `None` where it does not tell.
pub(super) fn booted_from(machine: &Root) -> Option<String> {
    texts(machine, "LoaderDevicePartUUID").into_iter().next().map(|uuid| uuid.to_lowercase())
}

const VARIABLES: &str = "sys/firmware/efi/efivars";

/// The value of a variable of the interface.
fn variable(machine: &Root, name: &str) -> Option<Vec<u8>> {
    value(machine, &format!("{name}-{VENDOR}"))
}

/// The value of a variable. Its file begins with four bytes of attributes.
fn value(machine: &Root, name: &str) -> Option<Vec<u8>> {
    let bytes = machine.read(&format!("{VARIABLES}/{name}")).ok().flatten()?;
    (bytes.len() <= VARIABLE_LIMIT).then(|| bytes.get(4..).map(<[u8]>::to_vec)).flatten()
}

/// What is not active, or not in `BootOrder`, is not tried by the firmware, and not shown by every one.
fn firmware_options(machine: &Root) -> Vec<String> {
    let options = numbers(machine, "BootOrder").into_iter();
    let options = options.filter_map(|number| firmware_option(machine, number));
    options.filter(|(attributes, _)| attributes & ACTIVE != 0).map(|(_, text)| text).collect()
}

fn firmware_started(machine: &Root) -> Option<String> {
    let number = numbers(machine, "BootCurrent").into_iter().next()?;
    firmware_option(machine, number).map(|(_, text)| text)
}

/// The numbers of options that a variable of the firmware's holds.
fn numbers(machine: &Root, name: &str) -> Vec<u16> {
    units(&value(machine, &format!("{name}-{GLOBAL}")).unwrap_or_default())
}

/// `EFI_LOAD_OPTION`: four bytes of attributes, two of a length, then its name and the path to its program, both
/// in UTF-16. What stands between them has an even length, and reads as odd characters. The specification has
/// capital digits in the variable's name, and some firmware small ones.
fn firmware_option(machine: &Root, number: u16) -> Option<(u32, String)> {
    let bytes = value(machine, &format!("Boot{number:04X}-{GLOBAL}"))
        .or_else(|| value(machine, &format!("Boot{number:04x}-{GLOBAL}")))?;
    let attributes = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    Some((attributes, utf16(bytes.get(6..)?)))
}

fn utf16(bytes: &[u8]) -> String {
    String::from_utf16_lossy(&units(bytes))
}

fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// The texts of a variable, in UTF-16, each with a zero behind it.
fn texts(machine: &Root, name: &str) -> Vec<String> {
    let text = utf16(&variable(machine, name).unwrap_or_default());
    text.split('\0').filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// Whether the target has an environment block, and as a file of its own.
fn is_environment(target: &Root) -> bool {
    let is_link = target.read_link(GRUB_ENVIRONMENT).ok().flatten().is_some();
    let bytes = target.read(GRUB_ENVIRONMENT).ok().flatten().unwrap_or_default();
    !is_link && bytes.len() == ENVIRONMENT_SIZE && bytes.starts_with(ENVIRONMENT_HEAD)
}

/// Where the environment block lies, by the mounts of the running system.
fn place(machine: &Root) -> Option<Place> {
    let mounts = machine.attribute("proc/self/mountinfo").ok().flatten()?;
    let (device, file_system) = mount_of(&mounts, GRUB_ENVIRONMENT)?;
    let block = format!("sys/dev/block/{device}");
    let is_virtual = machine.read_link(&block).ok().flatten().is_some_and(|link| link.contains("/virtual/"));
    let is_partition = machine.exists(&format!("{block}/partition")).unwrap_or(false);
    Some(Place { file_system, is_plain_partition: is_partition && !is_virtual })
}

/// Device and type of the file system that a path is in: of the mounts above it the deepest, and of
/// those the last one. Mount points with unusual characters are escaped, and none of ours has any.
fn mount_of(mounts: &str, path: &str) -> Option<(String, String)> {
    let mut found: Option<(usize, String, String)> = None;
    for line in mounts.lines() {
        let (Some((mount, system)), mut fields) = (line.split_once(" - "), line.split(' ').skip(2)) else {
            continue;
        };
        let (Some(device), Some(point)) = (fields.next(), mount.split(' ').nth(4)) else { continue };
        let above = point.trim_end_matches('/');
        let inside = path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        if inside && found.as_ref().is_none_or(|(depth, ..)| above.len() >= *depth) {
            let kind = system.split(' ').next().unwrap_or_default();
            found = Some((above.len(), device.to_owned(), kind.to_owned()));
        }
    }
    found.map(|(_, device, kind)| (device, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_last_mount_counts() {
        let root = "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw";
        for (mounts, wanted) in [
            (root.to_owned(), Some(("8:2", "ext4"))),
            (format!("{root}\n30 22 8:1 / /boot rw - vfat /dev/sda1 rw"), Some(("8:1", "vfat"))),
            (format!("{root}\n30 22 8:1 / /boot/efi rw - vfat /dev/sda1 rw"), Some(("8:2", "ext4"))),
            (format!("{root}\n30 22 8:1 / /bootx rw - vfat /dev/sda1 rw"), Some(("8:2", "ext4"))),
            (format!("{root}\n31 22 0:31 / / rw - overlay overlay rw"), Some(("0:31", "overlay"))),
            ("nonsense\n1 2 3\n - - -".to_owned(), None),
            (String::new(), None),
        ] {
            let found = mount_of(&mounts, GRUB_ENVIRONMENT);
            let found = found.as_ref().map(|(device, kind)| (device.as_str(), kind.as_str()));
            assert_eq!(found, wanted, "{mounts}");
        }
    }

    #[test]
    fn variables_are_read_as_the_loader_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sys/firmware/efi/efivars");
        std::fs::create_dir_all(&folder).unwrap();
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (name, value) in [
            ("LoaderInfo", utf16("systemd-boot 256.8\0")),
            ("LoaderEntries", utf16("arch.conf\0aa-neuron-host-arch.conf\0")),
            ("LoaderEntryPreferred", utf16("other.conf\0")),
            ("LoaderFeatures", 0x0fu64.to_le_bytes().to_vec()),
        ] {
            let bytes = [&[6, 0, 0, 0], value.as_slice()].concat();
            std::fs::write(folder.join(format!("{name}-{VENDOR}")), bytes).unwrap();
        }
        // As efibootmgr prints and the firmware keeps them: attributes, length, name, nodes of a path.
        let option = |attributes: u8, path: &str| {
            let node = [&[4, 4, 0, 0], utf16(path).as_slice()].concat();
            let head = [7, 0, 0, 0, attributes, 0, 0, 0, 46, 0];
            [&head, utf16("Linux\0").as_slice(), &[4, 1, 42, 0], &[0xd8; 38], &node].concat()
        };
        for (number, attributes, path) in [
            ("000A", 1, "\\EFI\\Linux\\arch-linux.efi\0"),
            ("000b", 1, "\\EFI\\Linux\\small-digits.efi\0"),
            ("000C", 8, "\\EFI\\Linux\\not-active.efi\0"),
            ("000D", 1, "\\EFI\\Linux\\not-in-the-order.efi\0"),
        ] {
            std::fs::write(folder.join(format!("Boot{number}-{GLOBAL}")), option(attributes, path)).unwrap();
        }
        for (name, numbers) in [
            ("BootOrder", &[10, 0, 12, 0, 99, 0, 11, 0][..]),
            ("BootCurrent", &[12, 0]),
            ("BootNext", &[13, 0]),
        ] {
            let bytes = [&[7, 0, 0, 0], numbers].concat();
            std::fs::write(folder.join(format!("{name}-{GLOBAL}")), bytes).unwrap();
        }
        let root = Root::directory(dir.path()).unwrap();
        let running = Running::read(&root, &root);
        assert_eq!(running.loader.as_deref(), Some("systemd-boot 256.8"));
        assert_eq!(running.entries, ["arch.conf", "aa-neuron-host-arch.conf"]);
        assert_eq!((running.features, running.default), (0x0f, None));
        assert_eq!(running.preferred.as_deref(), Some("other.conf"));
        assert_eq!(running.firmware_options.len(), 2, "{:?}", running.firmware_options);
        assert!(running.firmware_options[0].contains("\\EFI\\Linux\\arch-linux.efi\0"));
        assert!(running.firmware_options[1].contains("\\EFI\\Linux\\small-digits.efi\0"));
        assert!(running.firmware_started.unwrap().contains("\\EFI\\Linux\\not-active.efi\0"));
        // Cut off, or of another kind: nothing is known, and nothing breaks.
        std::fs::write(folder.join(format!("LoaderFeatures-{VENDOR}")), [6, 0, 0]).unwrap();
        std::fs::create_dir(folder.join(format!("LoaderEntryDefault-{VENDOR}"))).unwrap();
        let running = Running::read(&root, &root);
        assert_eq!((running.features, running.default), (0, None));
    }

    #[test]
    fn a_bare_machine_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::directory(dir.path()).unwrap();
        assert_eq!(Running::read(&root, &root), Running::default());
    }
}
