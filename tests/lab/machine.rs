//! Machines described: an IOMMU, and devices with fixed addresses.

/// The unit that keeps devices apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iommu {
    /// Intel's, switched on.
    Intel,
    /// Intel's, switched off on the kernel command line.
    IntelOff,
    /// AMD's, which needs no parameter.
    Amd,
    /// None in the machine.
    Absent,
}

/// Intel's, as QEMU is asked for it.
pub(crate) const INTEL_IOMMU: &str = "intel-iommu,intremap=on,caching-mode=on";

/// What a device is. The ids, classes and drivers are those of QEMU's devices and Linux's drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// A GPU that no firmware shows a picture on.
    Bochs,
    /// The same ids, but the boot VGA.
    Vga,
    /// A GPU with other ids.
    Virtio,
    /// The audio function of a GPU.
    Audio,
    /// A serial port: Debian's kernels have its driver built in.
    Serial,
    /// A GPU that no driver of this kernel takes: the modules are not in the image.
    Driverless,
    /// From PCI Express to PCI; what is behind it shares its group.
    Bridge,
    /// A disk controller with virtual functions.
    Nvme,
}

/// Four virtual functions, as many as fit the queues and vectors of the fifth.
const NVME: &str = "nvme,subsys=disks,serial=lab,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,\
                    max_ioqpairs=10,msix_qsize=9";

impl Model {
    /// QEMU's name of the device.
    fn device(self) -> &'static str {
        match self {
            Self::Bochs => "bochs-display",
            Self::Vga => "VGA",
            Self::Virtio => "virtio-gpu-pci",
            Self::Audio => "ich9-intel-hda",
            Self::Serial => "pci-serial",
            Self::Driverless => "ati-vga",
            Self::Bridge => "pcie-pci-bridge",
            Self::Nvme => NVME,
        }
    }

    /// The same without its settings.
    fn name(self) -> &'static str {
        self.device().split(',').next().unwrap_or_default()
    }

    /// vendor:device.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Bochs | Self::Vga => "1234:1111",
            Self::Virtio => "1af4:1050",
            Self::Audio => "8086:293e",
            Self::Serial => "1b36:0002",
            Self::Driverless => "1002:5046",
            Self::Bridge => "1b36:000e",
            Self::Nvme => "1b36:0010",
        }
    }

    /// The class, with its programming interface.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Bochs | Self::Virtio => "038000",
            Self::Vga | Self::Driverless => "030000",
            Self::Audio => "040300",
            Self::Serial => "070002",
            Self::Bridge => "060400",
            Self::Nvme => "010802",
        }
    }

    /// The driver of the host.
    pub(crate) fn driver(self) -> &'static str {
        match self {
            Self::Bochs | Self::Vga => "bochs-drm",
            Self::Virtio => "virtio-pci",
            Self::Audio => "snd_hda_intel",
            Self::Serial => "serial",
            Self::Driverless | Self::Bridge => "",
            Self::Nvme => "nvme",
        }
    }
}

/// A function of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its address, `0000:01:00.0`.
    pub(crate) address: &'static str,
    /// What it is.
    pub(crate) model: Model,
}

/// A function at an address. Bus 0 is the chipset's; each other bus has a root port of its own.
pub(crate) const fn function(address: &'static str, model: Model) -> Function {
    Function { address, model }
}

impl Function {
    /// The line of `/etc/neuron/vfio-devices` that records it.
    pub(crate) fn line(self, role: &str) -> String {
        let Self { address, model } = self;
        format!("{role} {address} {} 1af4:1100 {}\n", model.id(), model.class())
    }
}

/// The bus behind a bridge, which is the first card of a machine that has one.
const BEHIND_THE_BRIDGE: &str = "02";

/// A machine to boot.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Its IOMMU.
    pub(crate) iommu: Iommu,
    /// Its GPUs and their companions.
    pub(crate) functions: Vec<Function>,
}

impl Machine {
    /// QEMU's arguments for the machine itself.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("-M", "q35".to_owned());
        add("-cpu", self.processor().to_owned());
        match self.iommu {
            Iommu::Intel | Iommu::IntelOff => {
                add("-device", INTEL_IOMMU.to_owned());
            }
            Iommu::Amd => add("-device", "amd-iommu".to_owned()),
            Iommu::Absent => {}
        }
        if self.functions.iter().any(|function| function.model == Model::Nvme) {
            add("-device", "nvme-subsys,id=disks".to_owned());
        }
        let mut buses = Vec::new();
        let mut bridge = None;
        for Function { address, model } in &self.functions {
            let (bus, slot, index) = (&address[5..7], &address[8..10], &address[11..]);
            let place = if bus == "00" {
                format!("bus=pcie.0,addr=0x{slot}.{index}")
            } else if bridge == Some(bus) {
                format!("bus=bridge,addr=0x{slot}.{index}")
            } else {
                if !buses.contains(&bus) {
                    buses.push(bus);
                    // The firmware counts buses in the order of the ports; AMD's IOMMU takes the first free slot.
                    add(
                        "-device",
                        format!("pcie-root-port,id=port{bus},slot={bus},chassis={bus},addr=0x1{}", &bus[1..]),
                    );
                }
                format!("bus=port{bus},addr=0x{slot}.{index},multifunction=on")
            };
            let place = if *model == Model::Bridge {
                // One in a machine: what is on the next bus is behind it.
                bridge = Some(BEHIND_THE_BRIDGE);
                format!("{place},id=bridge")
            } else {
                place
            };
            add("-device", format!("{},{place}", model.device()));
        }
        arguments
    }

    /// QEMU's processor. An emulated one says that it is AMD's unless it is told otherwise, and what
    /// is planned for the IOMMU follows from that.
    fn processor(&self) -> &'static str {
        match self.iommu {
            Iommu::Intel => "max,vendor=GenuineIntel",
            Iommu::Amd => "EPYC",
            Iommu::IntelOff | Iommu::Absent => "max",
        }
    }

    /// The machine in a few words.
    pub(crate) fn summary(&self) -> String {
        let models: Vec<&str> = self.functions.iter().map(|one| one.model.name()).collect();
        let iommu = match self.iommu {
            Iommu::Intel => "Intel",
            Iommu::IntelOff => "Intel, off",
            Iommu::Amd => "AMD",
            Iommu::Absent => "no IOMMU",
        };
        format!("{iommu}: {}", models.join(", "))
    }

    /// What the kernel has to be told about the IOMMU.
    pub(crate) fn parameters(&self) -> &'static str {
        match self.iommu {
            Iommu::Intel => "intel_iommu=on iommu=pt",
            Iommu::IntelOff => "intel_iommu=off",
            Iommu::Amd | Iommu::Absent => "iommu=pt",
        }
    }
}
