//! The module's folder, its configuration and its failures.

use std::process::Command;

use crate::installer::{Installer, built_module, module_sources};

/// One job of ours between the stand-ins.
fn installation(configuration: &str) -> Installer {
    let installer = Installer::new();
    installer.sequence(&[("exec", &["partition", "vfio-setup", "standin-verdict"]), ("show", &["finished"])]);
    installer.configure("vfio-setup", configuration);
    installer
}

#[test]
fn the_harness_sees_a_success() {
    let installer = Installer::new();
    installer.sequence(&[("exec", &["partition", "standin-verdict"]), ("show", &["finished"])]);
    let outcome = installer.run();
    assert_eq!(outcome.globals()["rootMountPoint"], installer.target().to_str().unwrap());
}

#[test]
fn an_unknown_key_fails_with_a_title_and_the_near_key() {
    let outcome = installation("onrefused: fail").run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "The GPU passthrough module is not configured correctly");
    assert!(detail.contains("unknown key `onrefused`; did you mean `onRefused`?"), "{detail}");
    assert!(detail.contains("not in your machine"), "{detail}");
}

#[test]
fn what_yaml_makes_of_digits_is_said() {
    let outcome = installation("choice: \"1002\"").run();
    let (_, detail) = outcome.failure();
    assert!(detail.contains("the number 1002") && detail.contains("quoted or not"), "{detail}");
}

#[test]
fn failures_are_translated() {
    let mut installer = installation("onrefused: fail");
    // The language of the installed system is what Calamares offers to Python jobs.
    installer.globals(&serde_json::json!({ "localeConf": { "LANG": "de_DE.UTF-8" } }));
    installer.speak("de_DE.UTF-8");
    let outcome = installer.run();
    let (title, detail) = outcome.failure();
    assert_eq!(title, "Das Modul für die GPU-Durchreichung ist falsch eingestellt");
    assert!(detail.contains("onRefused"), "{detail}");
}

/// Every text that can reach the user has an entry to translate, and every catalogue has it too.
#[test]
fn every_text_is_in_every_catalogue() {
    let lang = module_sources().join("vfio-setup/lang");
    let report = std::fs::read_to_string(module_sources().join("job/src/report.rs")).unwrap();
    let main = std::fs::read_to_string(module_sources().join("vfio-setup/main.py")).unwrap();
    let arm = |line: &str| {
        let text = line
            .trim()
            .strip_prefix("Self::")
            .and_then(|rest| rest.split_once("=> \""))
            .map(|(_, text)| text);
        let text = text.or_else(|| line.trim().strip_prefix('"'))?;
        Some(text.trim_end_matches(',').trim_end_matches('"').to_owned())
    };
    let mut texts: Vec<String> = report.lines().filter_map(arm).collect();
    texts.extend(main.split("_(\"").skip(1).map(|rest| rest.split_once('"').unwrap().0.to_owned()));
    assert!(texts.len() >= 8, "{texts:?}");
    let mut catalogues = 0;
    for entry in std::fs::read_dir(lang).unwrap() {
        let catalogue = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for text in &texts {
            assert!(catalogue.contains(&format!("msgid \"{text}\"")), "{text:?} is missing");
        }
        catalogues += 1;
    }
    assert!(catalogues >= 2);
}

#[test]
fn the_extension_needs_no_particular_python() {
    let extension = built_module().join("vfio-setup/_vfio_setup.abi3.so");
    let ldd = Command::new("ldd").arg(&extension).output().unwrap();
    let libraries = String::from_utf8(ldd.stdout).unwrap();
    assert!(libraries.contains("libc.so"), "{libraries}");
    assert!(!libraries.contains("libpython"), "{libraries}");
}

/// The schema takes our own files and refuses others.
#[test]
fn the_schema_fits_the_configurations() {
    let check = "
import sys, yaml, jsonschema
schema = yaml.safe_load(open(sys.argv[1]))
for name in sys.argv[2:]:
    if name.startswith('bad:'):
        try:
            jsonschema.validate(yaml.safe_load(name[4:]), schema)
        except jsonschema.ValidationError:
            continue
        sys.exit('accepted: ' + name)
    jsonschema.validate(yaml.safe_load(open(name)), schema)
";
    let mut files = vec![module_sources().join("vfio-setup/vfio-setup.conf")];
    for loader in ["grub", "systemd-boot"] {
        let folder = module_sources().join("examples").join(loader).join("modules");
        files.extend(
            std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("vfio-setup")),
        );
    }
    assert!(files.len() > 4, "{files:?}");
    let checked = Command::new("python3")
        .args(["-c", check])
        .arg(module_sources().join("vfio-setup/vfio-setup.schema.yaml"))
        .args(&files)
        .args(["bad:{stage: later}", "bad:{colour: red}", "bad:{machineRoot: m}", "bad:{choice: 3}"])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
