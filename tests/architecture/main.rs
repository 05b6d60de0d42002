//! The rules of `provisioner/docs/architecture.md`, kept: who imports whom, what may stand where.
//!
//! Each rule is tried twice: on the sources, and on a made text that breaks it.

mod imports;
mod rules;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imports::{code_of, imports};
use rules::{BANNED_NAMES, LONGEST_FILE, OWNED, RULES, SYSTEM_MODULES, TOP_LEVEL};

fn repository() -> PathBuf {
    let tests = neuron_tests::tests_folder();
    tests.parent().map(Path::to_path_buf).unwrap_or(tests)
}

/// The files below `folder` whose name ends so; build output and hidden folders are passed over.
fn files(folder: &Path, suffix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, suffix)?);
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Where a file of the library stands: `["policy", "choose"]`, nothing for `lib.rs`.
fn module_of(relative: &Path) -> Vec<String> {
    let text = relative.with_extension("").to_string_lossy().into_owned();
    text.split('/').filter(|part| *part != "mod" && *part != "lib").map(str::to_owned).collect()
}

fn is_test(module: &[String]) -> bool {
    module.iter().any(|part| part == "tests")
}

/// What breaks the import rules in one source text.
fn broken(source: &str, module: &[&str]) -> Vec<String> {
    let code = code_of(source);
    let found = imports(&code, module);
    let Some(top) = module.first() else { return Vec::new() };
    let mut complaints = Vec::new();
    for rule in RULES {
        for path in rule.broken_by(top, &found) {
            complaints.push(format!("{} names crate::{path}: {}", module.join("::"), rule.because));
        }
    }
    if code.contains("nix::") && !SYSTEM_MODULES.contains(top) {
        complaints.push(format!("{} names nix: only {SYSTEM_MODULES:?} may", module.join("::")));
    }
    for print in ["print!(", "println!(", "eprintln!(", "eprint!(", "dbg!("] {
        let called = code.match_indices(print).any(|(at, _)| !code[..at].ends_with(char::is_alphanumeric));
        if called {
            complaints.push(format!("{} calls {print}: the library never talks", module.join("::")));
        }
    }
    // In the source, not the code: `virsh` would stand in a literal.
    if *top == "rebind" && (source.contains("virsh") || source.contains("virt::")) {
        complaints.push("rebind names libvirt: a hook that calls back into libvirt deadlocks".to_owned());
    }
    complaints
}

#[test]
fn the_library_keeps_the_import_rules() {
    let folder = repository().join("provisioner/passthrough/src");
    let mut complaints = Vec::new();
    let mut seen = 0;
    for path in files(&folder, ".rs").unwrap() {
        let module = module_of(path.strip_prefix(&folder).unwrap());
        if is_test(&module) {
            continue;
        }
        let parts: Vec<&str> = module.iter().map(String::as_str).collect();
        complaints.extend(broken(&fs::read_to_string(&path).unwrap(), &parts));
        seen += 1;
    }
    assert!(seen > 3, "only {seen} files were looked at");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_source_that_breaks_a_rule_is_found() {
    let cases: [(&[&str], &str); 17] = [
        (&["libvirt", "image"], "use crate::facts::Machine;"),
        (&["text", "shell"], "use crate::step::Step;"),
        (&["id"], "fn f() -> crate::step::Step { todo }"),
        (&["facts", "pci"], "use crate::{id::PciId, policy::Decision};"),
        (&["facts"], "use crate::step::{FileState, Step};"),
        (&["facts"], "use super::plan::Plan;"),
        (&["policy", "choose"], "use super::super::root::Root;"),
        (&["policy"], "use crate::{\n    facts::Machine,\n    root as tree,\n};"),
        (&["bootloader", "grub"], "use crate::initramfs::Generator;"),
        (&["initramfs"], "use crate::root::Root;"),
        (&["guest", "domain"], "pub use crate::apply::*;"),
        (&["binding"], "let x: Vec<crate::guest::Domain> = v;"),
        (&["apply", "journal"], "use crate::facts::Target;"),
        (&["verify"], "use crate::apply::journal;"),
        (&["rebind"], "Command::new(\"virsh\")"),
        (&["plan"], "println!(\"{}\", 1);"),
        (&["plan"], "use nix::unistd::getuid;"),
    ];
    for (module, source) in cases {
        let found = broken(source, module);
        assert_eq!(found.len(), 1, "{module:?}: {source}: {found:?}");
    }
}

#[test]
fn what_only_looks_like_an_import_is_left_alone() {
    let cases: [(&[&str], &str); 9] = [
        (&["text", "shell"], "// use crate::step::Step;\n"),
        (&["text"], "/* crate::step */ /// [`crate::root`]\n"),
        (&["text"], "let s = \"crate::step::Step and \\\" println!(\"; let c = '\"'; let d = 'x';"),
        (&["text"], "let s = r#\"use crate::step;\"#;"),
        (&["text", "shell"], "use super::lines::Lines;\nuse crate::text::block;\nuse crate::id::PciId;"),
        (&["text"], "fn f<'a>(x: &'a str) {}\n#[cfg(test)]\nmod tests {\n    use crate::root::Root;\n}\n"),
        (&["facts", "target"], "use crate::step::FileState;\nuse crate::root::Root;"),
        (&["apply", "command"], "use nix::unistd::getuid;\nuse crate::root::Root;"),
        (&["plan"], "writeln!(text, \"{}\", crate::policy::Decision::default());"),
    ];
    for (module, source) in cases {
        assert_eq!(broken(source, module), Vec::<String>::new(), "{module:?}: {source}");
    }
}

/// The packages that the manifest's dependency tables name.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.trim_end_matches(']').ends_with("dependencies");
        } else if inside {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default().trim();
            if !name.is_empty() && !name.starts_with('#') {
                names.push(name);
            }
        }
    }
    names
}

/// Packages of `member` that belong to another one.
fn foreign<'a>(member: &str, manifest: &'a str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in dependencies(manifest) {
        let owned_elsewhere = OWNED.iter().any(|(owner, names)| member != *owner && names.contains(&name));
        let module_uses_program = member.starts_with("calamares-module") && name == "neuron-provisioner";
        if owned_elsewhere || module_uses_program {
            found.push(name);
        }
    }
    found
}

#[test]
fn terminal_and_python_libraries_stay_with_their_owner() {
    let root = repository();
    let mut seen = 0;
    for path in files(&root, "Cargo.toml").unwrap() {
        let member = path.parent().unwrap().strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        if member.is_empty() {
            continue;
        }
        let manifest = fs::read_to_string(&path).unwrap();
        assert_eq!(foreign(&member, &manifest), Vec::<&str>::new(), "{member}");
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} manifests were looked at");
    let bad = "[dependencies]\nclap.workspace = true\n[build-dependencies]\npyo3 = \"0.29\"\n[features]\nclap = []\n";
    assert_eq!(foreign("provisioner/passthrough", bad), ["clap", "pyo3"]);
    assert_eq!(foreign("provisioner/cli", bad), ["pyo3"]);
    assert_eq!(foreign("calamares-module", "[dependencies]\nneuron-provisioner.workspace = true\n").len(), 1);
}

#[test]
fn the_library_tightens_the_workspace_lints_and_loosens_none() {
    let root = repository();
    let library = fs::read_to_string(root.join("provisioner/passthrough/.clippy.toml")).unwrap();
    for line in fs::read_to_string(root.join(".clippy.toml")).unwrap().lines() {
        assert!(library.lines().any(|own| own == line), "provisioner/passthrough/.clippy.toml lacks: {line}");
    }
}

/// Lines of a file, its inline tests apart.
fn length(source: &str) -> usize {
    match source.find("#[cfg(test)]\nmod tests {") {
        Some(start) => source[..start].lines().count(),
        None => source.lines().count(),
    }
}

#[test]
fn no_file_is_too_long_and_no_module_is_called_by_nothing() {
    let mut complaints = Vec::new();
    for path in files(&repository(), ".rs").unwrap() {
        let lines = length(&fs::read_to_string(&path).unwrap());
        if lines > LONGEST_FILE {
            complaints.push(format!("{}: {lines} lines, {LONGEST_FILE} are the limit", path.display()));
        }
        let mut parts = path.strip_prefix(repository()).unwrap().with_extension("");
        while let Some(name) = parts.file_name().map(|name| name.to_string_lossy().into_owned()) {
            if BANNED_NAMES.contains(&name.as_str()) {
                complaints.push(format!("{}: `{name}` says nothing about what is inside", path.display()));
            }
            parts.pop();
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(length(&"x\n".repeat(700)), 700);
    assert_eq!(
        length(&format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(10), "y\n".repeat(700))),
        10
    );
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let mut complaints = Vec::new();
    for entry in fs::read_dir(repository()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) {
            complaints.push(name);
        }
    }
    assert!(complaints.is_empty(), "at the top level: {complaints:?}");
}

#[test]
fn nothing_points_outside_the_repository() {
    // Put together here, so that this file is not found itself.
    let outside = ["../", "shared"].concat();
    let mut complaints = Vec::new();
    for suffix in [".rs", ".toml", ".md", ".sh", ".py", ".json", ".qml", ".conf", "/run"] {
        for path in files(&repository(), suffix.trim_start_matches('/')).unwrap() {
            let text = fs::read(&path).unwrap();
            if String::from_utf8_lossy(&text).contains(&outside) {
                complaints.push(path.display().to_string());
            }
        }
    }
    assert!(complaints.is_empty(), "{outside} is named in {complaints:?}");
}
