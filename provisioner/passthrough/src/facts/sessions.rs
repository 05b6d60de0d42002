//! What runs for a user: whoever logged in before a group took them in has to log in again.

use super::FactsError;
use super::shared_memory::processes;
use crate::root::Root;

/// A process and the groups that it was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What it calls itself.
    pub program: String,
    /// The numbers of its groups.
    pub groups: Vec<u32>,
}

/// The processes of a user, by their number. One that ends meanwhile is left out.
pub fn processes_of(system: &Root, uid: u32) -> Result<Vec<Process>, FactsError> {
    let mut found = Vec::new();
    for pid in processes(system)? {
        let Ok(Some(status)) = system.read(&format!("proc/{pid}/status")) else { continue };
        let status = String::from_utf8_lossy(&status);
        let numbers = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        // The first number is who started it.
        if numbers("Uid").first() == Some(&uid) {
            let name = status.lines().find_map(|line| line.strip_prefix("Name:"));
            let program = name.unwrap_or_default().trim().to_owned();
            let groups = [numbers("Gid"), numbers("Groups")].concat();
            found.push(Process { pid, program, groups });
        }
    }
    found.sort_unstable_by_key(|process| process.pid);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_who_runs_what_with_which_groups() {
        let dir = tempfile::tempdir().unwrap();
        let status = |pid: &str, text: &str| {
            let folder = dir.path().join("proc").join(pid);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("status"), text).unwrap();
        };
        let of = |uid: u32, groups: &str| {
            format!("Name:\tkwin_wayland\nUid:\t{uid}\t{uid}\t0\t0\nGid:\t1000\t1000\nGroups:\t{groups} \n")
        };
        status("900", &of(1000, "992 1000"));
        status("88", &of(1000, ""));
        status("90", &of(10, "1000"));
        status("self", &of(1000, "992"));
        let found = processes_of(&Root::directory(dir.path()).unwrap(), 1000).unwrap();
        let seen: Vec<(u32, bool)> =
            found.iter().map(|process| (process.pid, process.groups.contains(&992))).collect();
        assert_eq!(seen, [(88, false), (900, true)]);
        assert_eq!(found[0].program, "kwin_wayland");
    }
}
