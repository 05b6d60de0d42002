//! What the program asks the kernel to do to a target, as `strace` tells it, and one such call left out, or
//! the program killed right before one.

use std::collections::BTreeMap;
use std::path::Path;

/// What puts something on disk for good.
pub const FLUSHES: [&str; 3] = ["fsync", "fdatasync", "syncfs"];
/// What changes something, beside opening with `O_CREAT`.
const CHANGES: [&str; 12] = [
    "write",
    "renameat",
    "renameat2",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "fchmod",
    "fchown",
    "fchownat",
    "fsetxattr",
    "fremovexattr",
    "ftruncate",
];

/// A call of the program itself that is about the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The system call.
    pub name: String,
    /// Its number among those of this name, from 1.
    pub number: usize,
    /// Its arguments, with the target's own path left out.
    pub arguments: String,
}

/// What happens to one call.
pub enum Instead<'a> {
    /// It is not carried out, and says that it was.
    LeftOut(&'a Call),
    /// The program dies before it.
    Killed(&'a Call),
}

impl Instead<'_> {
    fn inject(&self) -> String {
        match self {
            Self::LeftOut(call) => format!("inject={}:retval=0:when={}", call.name, call.number),
            Self::Killed(call) => format!("inject={}:signal=KILL:when={}", call.name, call.number),
        }
    }
}

/// What `strace` is told, to write to this file; the program comes behind it.
pub fn arguments(trace: &Path, instead: Option<&Instead<'_>>) -> Vec<String> {
    let all = [&FLUSHES[..], &CHANGES[..]].concat().join(",");
    let mut arguments: Vec<String> =
        ["-f", "-y", "-s", "64", "-e", "signal=none", "-e"].map(str::to_owned).into();
    arguments.extend([format!("trace=openat,{all}"), "-o".to_owned(), trace.display().to_string()]);
    if let Some(instead) = instead {
        arguments.extend(["-e".to_owned(), instead.inject()]);
    }
    arguments
}

/// The calls of the first process that name something below the target.
pub fn calls(trace: &str, target: &str) -> Vec<Call> {
    let own = trace.split_whitespace().next().unwrap_or_default();
    let mut numbers = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        if pid != own {
            continue;
        }
        let number = numbers.entry(name.to_owned()).or_insert(0);
        *number += 1;
        let makes = name != "openat" || arguments.contains("O_CREAT");
        if makes && arguments.contains(target) {
            let arguments = arguments.replace(target, "");
            calls.push(Call { name: name.to_owned(), number: *number, arguments });
        }
    }
    calls
}

impl Call {
    /// In a line, with where it comes from.
    pub fn told(&self, site: &str) -> String {
        format!("{} {} of {} ({site})", self.name, self.number, self.arguments.trim_end_matches(") = 0"))
    }

    /// Whether it flushes.
    pub fn is_flush(&self) -> bool {
        FLUSHES.contains(&self.name.as_str())
    }
}

/// Which place of the program a flush comes from, told by what it is about and by the call before it.
pub fn site(calls: &[Call], at: usize) -> String {
    let about = calls[at].arguments.split(['<', '>']).nth(1).unwrap_or_default();
    let before = &calls[..at];
    let changed = before.iter().rev().find(|call| !call.is_flush());
    let change = changed.map_or("", |call| call.name.as_str());
    let is_state = about.starts_with("/var/lib/neuron-provisioner");
    let whose = if is_state { "of our own" } else { "of the target" };
    if about.ends_with("/journal.jsonl") {
        let record = before.iter().rev().find(|call| call.name == "write");
        let record = record.map_or("", |call| call.arguments.as_str());
        let kind = record.split("\\\"record\\\":\\\"").nth(1).and_then(|rest| rest.split("\\\"").next());
        return format!("the journal after its {}", kind.unwrap_or("header"));
    }
    let is_same = |before: &Call| before.arguments.split(['<', '>']).nth(1) == Some(about);
    if calls[at].name == "syncfs" {
        // On FAT the whole file system follows what is flushed alone.
        return match before.last().filter(|call| call.is_flush() && is_same(call)) {
            Some(_) => format!("the file system after {}", site(calls, at - 1)),
            None => "the file systems that a program wrote to".to_owned(),
        };
    }
    if before.last().is_some_and(|call| call.name == "syncfs") {
        // On FAT that alone leaves it in the cache of the disk.
        return format!("the disk after {}", site(calls, at - 1));
    }
    let name = about.rsplit('/').next().unwrap_or_default();
    if name.starts_with(".unfinished") || name.contains(".neuron-") {
        return format!("a new file {whose}");
    }
    let is_renamed = changed.is_some_and(|call| call.arguments.contains(&format!("\"{name}\"")));
    if change.starts_with("renameat") && is_renamed {
        return format!("a file {whose} after its rename");
    }
    let verb = match change {
        "renameat" | "renameat2" => "rename",
        "mkdirat" | "fchmod" => "mkdir",
        "unlinkat" => "unlink",
        // The first line of the journal.
        "openat" | "write" => "create",
        other => other,
    };
    format!("a directory {whose} after {verb}")
}
