//! The indexes that kmod reads, made from the texts that lie beside them.
//!
//! depmod makes both from the modules themselves; a target of these tests keeps the texts only. With
//! the indexes, and a file where each module would be (kmod looks whether it is there), the real
//! `modprobe -d TARGET` answers for it. The format is that of kmod's `libkmod-index.c`: a prefix tree, written from its leaves to its root, whose offsets carry
//! flags for what the node holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::{at, write};

const MAGIC: u32 = 0xb007_f457;
const VERSION: u32 = 0x0002_0001;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;

/// Key to its values, in the order in which they stood.
type Index = BTreeMap<String, Vec<String>>;

/// Writes `modules.{dep,alias,builtin}.bin` and the modules' stand-ins of one
/// `usr/lib/modules/<version>`.
pub(super) fn complete(modules: &Path) -> io::Result<()> {
    let text = |name: &str| {
        let path = modules.join(name);
        fs::read_to_string(&path).map_err(|error| at(&path, "read", &error))
    };
    let mut dep = Index::new();
    for line in text("modules.dep")?.lines() {
        let path = line.split(':').next().unwrap_or_default();
        dep.entry(module_name(path)).or_default().push(line.to_owned());
        write(&modules.join(path), "stands for a module\n")?;
    }
    let mut alias = Index::new();
    for line in text("modules.alias")?.lines() {
        if let ["alias", pattern, module] = line.split(' ').collect::<Vec<_>>()[..] {
            alias.entry(pattern.replace('-', "_")).or_default().push(module.to_owned());
        }
    }
    let mut builtin = Index::new();
    for path in text("modules.builtin")?.lines() {
        builtin.entry(module_name(path)).or_default().push(String::new());
    }
    for (name, index) in [("dep", dep), ("alias", alias), ("builtin", builtin)] {
        write(&modules.join(format!("modules.{name}.bin")), bytes_of(&index))?;
    }
    Ok(())
}

/// `vfio_pci` for `kernel/drivers/vfio/pci/vfio-pci.ko.zst`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

fn bytes_of(index: &Index) -> Vec<u8> {
    let mut bytes = [MAGIC, VERSION, 0].map(u32::to_be_bytes).concat();
    let entries: Vec<(&[u8], &[String])> =
        index.iter().map(|(key, values)| (key.as_bytes(), values.as_slice())).collect();
    let root = node(&entries, 0, &mut bytes);
    bytes[8..12].copy_from_slice(&root.to_be_bytes());
    bytes
}

/// Writes the node of `entries`, whose keys agree in their first `done` bytes, after its children;
/// gives its place with the flags.
fn node(entries: &[(&[u8], &[String])], done: usize, bytes: &mut Vec<u8>) -> u32 {
    let (first, last) = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => (&first.0[done..], &last.0[done..]),
        _ => (&[][..], &[][..]),
    };
    // The keys are sorted, so what the outer two share, all share.
    let prefix = &first[..first.iter().zip(last).take_while(|(a, b)| a == b).count()];
    let depth = done + prefix.len();
    let (values, below) = match entries.first() {
        Some((key, values)) if key.len() == depth => (*values, &entries[1..]),
        _ => (&[][..], entries),
    };
    let children: Vec<(u8, u32)> = below
        .chunk_by(|a, b| a.0[depth] == b.0[depth])
        .map(|group| (group[0].0[depth], node(group, depth + 1, bytes)))
        .collect();
    let mut place = u32::try_from(bytes.len()).unwrap_or_default();
    if !prefix.is_empty() {
        place |= HAS_PREFIX;
        bytes.extend(prefix);
        bytes.push(0);
    }
    if let (Some((low, _)), Some((high, _))) = (children.first(), children.last()) {
        place |= HAS_CHILDREN;
        bytes.extend([*low, *high]);
        for letter in *low..=*high {
            let child = children.iter().find(|(own, _)| *own == letter).map_or(0, |(_, place)| *place);
            bytes.extend(child.to_be_bytes());
        }
    }
    if !values.is_empty() {
        place |= HAS_VALUES;
        bytes.extend(u32::try_from(values.len()).unwrap_or_default().to_be_bytes());
        for (priority, value) in (0_u32..).zip(values) {
            bytes.extend(priority.to_be_bytes());
            bytes.extend(value.as_bytes());
            bytes.push(0);
        }
    }
    place
}
