//! Machines of any size, for measuring.

use super::{Expected, Function, Machine};

/// The functions that every synthetic machine begins with.
const FIXED: usize = 6;

/// An Intel machine of `functions` PCI functions: iGPU, one NVIDIA card with audio, and virtual
/// functions of network cards up to the number. At least six; each in a group of its own except
/// the card's two.
pub fn synthetic(functions: usize) -> Machine {
    let mut all = vec![
        function("0000:00:00.0", "0600", "8086", "3ec2", None, 0),
        function("0000:00:01.0", "0604", "8086", "1901", Some("pcieport"), 1),
        Function {
            boot_vga: Some(true),
            ..function("0000:00:02.0", "0300", "8086", "3e92", Some("i915"), 2)
        },
        function("0000:00:1d.0", "0604", "8086", "a330", Some("pcieport"), 3),
        Function {
            boot_vga: Some(false),
            parents: vec!["0000:00:01.0".to_owned()],
            reset_method: Some("bus".to_owned()),
            ..function("0000:01:00.0", "0300", "10de", "2484", Some("nvidia"), 1)
        },
        Function {
            parents: vec!["0000:00:01.0".to_owned()],
            ..function("0000:01:00.1", "0403", "10de", "228b", Some("snd_hda_intel"), 1)
        },
    ];
    for (number, group) in (FIXED..functions).zip(4..) {
        let place = number - FIXED;
        let address = format!("0000:{:02x}:{:02x}.{}", 2 + place / 256, place / 8 % 32, place % 8);
        all.push(Function {
            parents: vec!["0000:00:1d.0".to_owned()],
            ..function(&address, "0200", "8086", "1520", Some("igbvf"), group)
        });
    }
    Machine {
        id: format!("synthetic-{functions}"),
        made: true,
        source: "made for measuring".to_owned(),
        summary: format!("{functions} functions"),
        cpu_vendor: "intel".to_owned(),
        chassis: "desktop".to_owned(),
        iommu: Some(true),
        tags: Vec::new(),
        expected: Expected {
            host_gpu: Some("0000:00:02.0".to_owned()),
            passthrough: Some(vec!["0000:01:00.0".to_owned(), "0000:01:00.1".to_owned()]),
            viable: Some(true),
            ..Expected::default()
        },
        functions: all,
        virtualization: true,
        cmdline: Some("BOOT_IMAGE=/vmlinuz-linux root=/dev/sda2 rw intel_iommu=on iommu=pt".to_owned()),
        kernel: None,
        boot_id: None,
        acpi_tables: Some(["DMAR", "FACP"].map(str::to_owned).to_vec()),
        efi: Some(true),
        secure_boot: Some(false),
        dmi: [].into(),
        connectors: Vec::new(),
        gpu_mux_mode: None,
        reserved_regions: [].into(),
        group_names: [].into(),
        files: [].into(),
    }
}

fn function(
    address: &str,
    class: &str,
    vendor: &str,
    device: &str,
    driver: Option<&str>,
    group: u32,
) -> Function {
    Function {
        address: address.to_owned(),
        class: class.to_owned(),
        vendor: vendor.to_owned(),
        device: device.to_owned(),
        subsystem: Some("1458:5000".to_owned()),
        driver: driver.map(str::to_owned),
        iommu_group: Some(group),
        ..Function::default()
    }
}
