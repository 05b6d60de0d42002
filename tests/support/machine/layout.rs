//! From facts to a directory that looks like "/", laid the way the kernel lays it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use super::{Connector, Function, Machine, in_use};
use crate::{at, in_folder, make_folder, write};

/// The GUID of the variables that the UEFI specification itself defines.
const EFI_GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// The command line of a machine whose own is not known: no parameter of interest.
const PLAIN_CMDLINE: &str =
    "BOOT_IMAGE=/vmlinuz-linux root=UUID=00000000-0000-0000-0000-000000000000 rw quiet";

/// Makes `root`, which must be empty or absent, look like the machine's "/".
///
/// What the facts do not tell is left out, and the host uses nothing but a keyboard. Two files are there all the same because a kernel
/// always has them: the subsystem ids (`0x0000` where not known, which is also what a board
/// without them shows) and `config` with ids, class and header type (`lspci` opens it; nothing
/// of ours may).
pub fn lay_out(machine: &Machine, root: &Path) -> io::Result<()> {
    if root.exists() && fs::read_dir(root)?.next().is_some() {
        let taken = io::Error::from(io::ErrorKind::DirectoryNotEmpty);
        return Err(at(root, "lay a machine out in", &taken));
    }
    for folder in ["bus/pci/devices", "bus/pci/drivers", "kernel/iommu_groups", "class/iommu", "class/drm"] {
        make_folder(&root.join("sys").join(folder))?;
    }
    for function in &machine.functions {
        pci_function(root, function)?;
    }
    groups(root, machine)?;
    for connector in &machine.connectors {
        display_connector(root, machine, connector)?;
    }
    proc(root, machine)?;
    firmware(root, machine)?;
    dmi(root, machine)?;
    if machine.iommu == Some(true) {
        iommu_unit(root, machine)?;
    }
    if let Some(mode) = machine.gpu_mux_mode {
        let device = root.join("sys/devices/platform/asus-nb-wmi");
        write(&device.join("gpu_mux_mode"), format!("{mode}\n"))?;
        link(&root.join("sys/bus/platform/devices/asus-nb-wmi"), &device)?;
    }
    in_use::in_no_use(root)?;
    for (path, text) in &machine.files {
        write(&root.join(path), text)?;
    }
    Ok(())
}

/// `/sys/devices/pciDDDD:BB/...` of a function.
fn device_folder(root: &Path, function: &Function) -> PathBuf {
    let top = function.parents.first().unwrap_or(&function.address);
    let bus = top.rsplit_once(':').map_or(top.as_str(), |(bus, _)| bus);
    let mut path = root.join(format!("sys/devices/pci{bus}"));
    path.extend(&function.parents);
    path.join(&function.address)
}

fn pci_function(root: &Path, function: &Function) -> io::Result<()> {
    let device = device_folder(root, function);
    let class = format!("{:0<6}", function.class.to_lowercase());
    let (sub_vendor, sub_device) =
        function.subsystem.as_deref().and_then(|ids| ids.split_once(':')).unwrap_or(("0000", "0000"));
    let attribute = |name: &str, text: String| write(&device.join(name), text + "\n");
    attribute("class", format!("0x{class}"))?;
    attribute("vendor", format!("0x{}", function.vendor))?;
    attribute("device", format!("0x{}", function.device))?;
    attribute("subsystem_vendor", format!("0x{sub_vendor}"))?;
    attribute("subsystem_device", format!("0x{sub_device}"))?;
    attribute("driver_override", "(null)".to_owned())?;
    write(&device.join("config"), config_space(function, &class))?;
    write(&device.join("uevent"), uevent(function, &class, sub_vendor, sub_device))?;
    attribute("modalias", modalias(function, &class, sub_vendor, sub_device))?;
    if let Some(revision) = &function.revision {
        attribute("revision", format!("0x{revision}"))?;
    }
    if let Some(boot) = function.boot_vga.filter(|_| class.starts_with("0300")) {
        attribute("boot_vga", u8::from(boot).to_string())?;
    }
    if let Some(methods) = &function.reset_method {
        attribute("reset_method", methods.clone())?;
    }
    if let Some(count) = function.sriov_totalvfs {
        attribute("sriov_totalvfs", count.to_string())?;
        attribute("sriov_numvfs", "0".to_owned())?;
    }
    if let Some(removable) = &function.removable {
        attribute("removable", removable.clone())?;
    }
    if !function.resource.is_empty() {
        attribute("resource", function.resource.join("\n"))?;
    }
    pci_links(root, function, &device)
}

fn pci_links(root: &Path, function: &Function, device: &Path) -> io::Result<()> {
    let address = &function.address;
    link(&root.join("sys/bus/pci/devices").join(address), device)?;
    link(&device.join("subsystem"), &root.join("sys/bus/pci"))?;
    if let Some(name) = &function.driver {
        let driver = root.join("sys/bus/pci/drivers").join(name);
        make_folder(&driver)?;
        link(&device.join("driver"), &driver)?;
        link(&driver.join(address), device)?;
    }
    if let Some(group) = function.iommu_group {
        let group = root.join(format!("sys/kernel/iommu_groups/{group}"));
        link(&device.join("iommu_group"), &group)?;
        link(&group.join("devices").join(address), device)?;
    }
    Ok(())
}

/// The first 64 bytes of the configuration space, as far as they are known.
fn config_space(function: &Function, class: &str) -> [u8; 64] {
    let mut config = [0; 64];
    let mut put = |at: usize, hex: &str| {
        let value = u32::from_str_radix(hex, 16).unwrap_or_default().to_le_bytes();
        config[at..at + hex.len() / 2].copy_from_slice(&value[..hex.len() / 2]);
    };
    put(0x00, &function.vendor);
    put(0x02, &function.device);
    put(0x08, function.revision.as_deref().unwrap_or("00"));
    put(0x09, class);
    put(0x0e, if class.starts_with("0604") { "01" } else { "00" });
    config
}

fn modalias(function: &Function, class: &str, sub_vendor: &str, sub_device: &str) -> String {
    let (base, sub, interface) = (&class[..2], &class[2..4], &class[4..]);
    let digits = |text: &str| format!("{:0>8}", text.to_uppercase());
    format!(
        "pci:v{}d{}sv{}sd{}bc{}sc{}i{}",
        digits(&function.vendor),
        digits(&function.device),
        digits(sub_vendor),
        digits(sub_device),
        base.to_uppercase(),
        sub.to_uppercase(),
        interface.to_uppercase(),
    )
}

fn uevent(function: &Function, class: &str, sub_vendor: &str, sub_device: &str) -> String {
    let mut text = String::new();
    if let Some(driver) = &function.driver {
        let _ = writeln!(text, "DRIVER={driver}");
    }
    let class_number = u32::from_str_radix(class, 16).unwrap_or_default();
    let ids = format!("{}:{}", function.vendor, function.device).to_uppercase();
    let _ = writeln!(text, "PCI_CLASS={class_number:X}\nPCI_ID={ids}");
    let _ = writeln!(text, "PCI_SUBSYS_ID={}", format!("{sub_vendor}:{sub_device}").to_uppercase());
    let _ = writeln!(text, "PCI_SLOT_NAME={}", function.address);
    let _ = writeln!(text, "MODALIAS={}", modalias(function, class, sub_vendor, sub_device));
    text
}

fn groups(root: &Path, machine: &Machine) -> io::Result<()> {
    let mut numbers: Vec<u32> = machine.functions.iter().filter_map(|f| f.iommu_group).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let group = root.join(format!("sys/kernel/iommu_groups/{number}"));
        write(&group.join("type"), "DMA-FQ\n")?;
        if let Some(name) = machine.group_names.get(&number) {
            write(&group.join("name"), format!("{name}\n"))?;
        }
        if let Some(regions) = machine.reserved_regions.get(&number) {
            write(&group.join("reserved_regions"), regions.join("\n") + "\n")?;
        }
    }
    Ok(())
}

fn display_connector(root: &Path, machine: &Machine, connector: &Connector) -> io::Result<()> {
    let function = machine.functions.iter().find(|f| f.address == connector.function);
    let function = function.ok_or_else(|| {
        let text = format!("{}: connector {} names no function", machine.id, connector.name);
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    let device = device_folder(root, function);
    let card = device.join("drm").join(&connector.card);
    let classes = root.join("sys/class/drm");
    if !card.exists() {
        let minor = connector.card.trim_start_matches("card");
        let event = format!("MAJOR=226\nMINOR={minor}\nDEVNAME=dri/{}\nDEVTYPE=drm_minor\n", connector.card);
        write(&card.join("uevent"), event)?;
        link(&card.join("device"), &device)?;
        link(&classes.join(&connector.card), &card)?;
    }
    let name = format!("{}-{}", connector.card, connector.name);
    let folder = card.join(&name);
    let enabled = if connector.status == "connected" { "enabled" } else { "disabled" };
    write(&folder.join("status"), format!("{}\n", connector.status))?;
    write(&folder.join("enabled"), format!("{enabled}\n"))?;
    link(&folder.join("device"), &card)?;
    link(&classes.join(&name), &folder)
}

fn proc(root: &Path, machine: &Machine) -> io::Result<()> {
    let (vendor, flag) = match machine.cpu_vendor.as_str() {
        "intel" => ("GenuineIntel", "vmx"),
        "amd" => ("AuthenticAMD", "svm"),
        _ => ("", ""),
    };
    let mut flags = vec!["fpu", "lm"];
    if machine.virtualization && !flag.is_empty() {
        flags.push(flag);
    }
    if machine.tags.iter().any(|tag| tag == "inside-vm") {
        flags.push("hypervisor");
    }
    let cpu = format!("processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {}\n\n", flags.join(" "));
    let proc = root.join("proc");
    write(&proc.join("cpuinfo"), cpu)?;
    let cmdline = machine.cmdline.as_deref().unwrap_or(PLAIN_CMDLINE);
    write(&proc.join("cmdline"), format!("{cmdline}\n"))?;
    if let Some(kernel) = &machine.kernel {
        write(&proc.join("sys/kernel/osrelease"), format!("{kernel}\n"))?;
    }
    if let Some(boot) = &machine.boot_id {
        write(&proc.join("sys/kernel/random/boot_id"), format!("{boot}\n"))?;
    }
    Ok(())
}

fn firmware(root: &Path, machine: &Machine) -> io::Result<()> {
    let firmware = root.join("sys/firmware");
    if let Some(tables) = &machine.acpi_tables {
        make_folder(&firmware.join("acpi/tables"))?;
        for table in tables {
            // An ACPI table begins with its signature and its length; nothing reads further.
            let mut bytes = [0; 36];
            bytes[..4].copy_from_slice(&table.as_bytes()[..4]);
            bytes[4] = 36;
            write(&firmware.join("acpi/tables").join(table), bytes)?;
        }
    }
    if machine.efi == Some(false) {
        make_folder(&firmware)?;
    }
    if machine.efi == Some(true) {
        write(&firmware.join("efi/fw_platform_size"), "64\n")?;
        make_folder(&firmware.join("efi/efivars"))?;
        if let Some(on) = machine.secure_boot {
            // Four bytes of attributes (boot service and runtime access), then the value.
            let variable = format!("efi/efivars/SecureBoot-{EFI_GLOBAL}");
            write(&firmware.join(variable), [6, 0, 0, 0, u8::from(on)])?;
        }
    }
    Ok(())
}

fn dmi(root: &Path, machine: &Machine) -> io::Result<()> {
    // SMBIOS 3.x, table 17: 1 is "other", which is what QEMU says.
    let chassis = match machine.chassis.as_str() {
        "desktop" => Some("3"),
        "laptop" => Some("10"),
        "server" => Some("17"),
        "vm" => Some("1"),
        _ => None,
    };
    let id = root.join("sys/devices/virtual/dmi/id");
    if let Some(number) = chassis {
        write(&id.join("chassis_type"), format!("{number}\n"))?;
    }
    for (name, value) in &machine.dmi {
        write(&id.join(name), format!("{value}\n"))?;
    }
    if id.exists() { link(&root.join("sys/class/dmi/id"), &id) } else { Ok(()) }
}

fn iommu_unit(root: &Path, machine: &Machine) -> io::Result<()> {
    let unit = match machine.cpu_vendor.as_str() {
        "intel" => "dmar0",
        "amd" => "ivhd0",
        _ => "iommu0",
    };
    let device = root.join("sys/devices/virtual/iommu").join(unit);
    make_folder(&device)?;
    link(&root.join("sys/class/iommu").join(unit), &device)
}

/// Makes `at_path` a relative link to `to`; both lie in the same tree, as sysfs does it.
pub(super) fn link(at_path: &Path, to: &Path) -> io::Result<()> {
    let folder = at_path.parent().unwrap_or(at_path);
    let to = relative(folder, to);
    in_folder(at_path, || symlink(&to, at_path)).map_err(|error| at(at_path, "make the link", &error))
}

fn relative(from: &Path, to: &Path) -> PathBuf {
    let from: Vec<Component<'_>> = from.components().collect();
    let to: Vec<Component<'_>> = to.components().collect();
    // As kernfs does it: a link to a folder above goes one further up and names that folder.
    let above = to.len().saturating_sub(1);
    let shared = from.iter().zip(&to[..above]).take_while(|(a, b)| a == b).count();
    let up = (shared..from.len()).map(|_| Component::ParentDir);
    up.chain(to[shared..].iter().copied()).collect()
}
