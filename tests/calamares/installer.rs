//! The real Calamares on a folder of its own.
//!
//! One [`Installer`] is one temporary folder: settings, modules' configuration, branding, the built
//! module, a target, a home. Nothing outside of it is written.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A run takes less than a second; what takes this long waits for a click that never comes.
const DEADLINE: Duration = Duration::from_secs(30);

/// Names the root of another suite in which Calamares is to run instead of the system's.
const ROOT_VARIABLE: &str = "NEURON_CALAMARES_ROOT";

/// A folder in which Calamares can be started.
pub(crate) struct Installer {
    dir: TempDir,
    language: String,
    environment: Vec<(String, String)>,
}

/// How a run of Calamares ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Every job ran.
    Succeeded {
        /// What global storage held at the end.
        globals: Value,
    },
    /// A job failed.
    Failed {
        /// The title of the dialogue.
        title: String,
        /// The text below it.
        detail: String,
    },
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The log of the run.
    pub log: String,
}

impl Outcome {
    /// What global storage held at the end of a run that must have succeeded.
    pub(crate) fn globals(&self) -> &Value {
        match &self.verdict {
            Verdict::Succeeded { globals } => globals,
            Verdict::Failed { title, detail } => panic!("{title}\n{detail}\n{}", self.log),
        }
    }

    /// Title and detail of a run that must have failed.
    pub(crate) fn failure(&self) -> (&str, &str) {
        match &self.verdict {
            Verdict::Failed { title, detail } => (title, detail),
            Verdict::Succeeded { .. } => panic!("it should have failed\n{}", self.log),
        }
    }
}

/// A Calamares that is running; it ends with its guard.
pub(crate) struct Running<'a> {
    installer: &'a Installer,
    process: Child,
}

impl Installer {
    /// A folder with the built module, the branding, the page and an empty target.
    pub(crate) fn new() -> Self {
        let installer = Self {
            dir: TempDir::with_prefix("calamares-").expect("a temporary folder"),
            language: "C.UTF-8".into(),
            environment: Vec::new(),
        };
        for folder in ["modules", "branding/plain", "qml", "home", "target", "machine"] {
            fs::create_dir_all(installer.path(folder)).unwrap();
        }
        let here = here();
        copy(&here.join("standins"), &installer.path("folders"));
        copy(&built_module().join("vfio-setup"), &installer.path("folders/vfio-setup"));
        for file in ["branding.desc", "logo.svg"] {
            fs::copy(here.join("branding").join(file), installer.path("branding/plain").join(file)).unwrap();
        }
        fs::copy(built_module().join("branding/gpu.qml"), installer.path("branding/plain/gpu.qml")).unwrap();
        installer.configure("partition", &format!("globals: {}", installer.path("globals.json").display()));
        installer
            .configure("standin-verdict", &format!("result: {}", installer.path("result.json").display()));
        installer.configure("finished", "restartNowMode: never");
        installer.globals(&json!({}));
        installer
    }

    /// A path in the folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The target root.
    pub(crate) fn target(&self) -> PathBuf {
        self.path("target")
    }

    /// Speaks another language than English.
    pub(crate) fn speak(&mut self, language: &str) {
        language.clone_into(&mut self.language);
    }

    /// Sets a variable of Calamares' environment.
    pub(crate) fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// Writes the configuration of a module's instance.
    pub(crate) fn configure(&self, instance: &str, yaml: &str) {
        fs::write(self.path(&format!("modules/{instance}.conf")), format!("---\n{yaml}\n")).unwrap();
    }

    /// Copies the configuration of a module's instance from a folder.
    pub(crate) fn configure_from(&self, folder: &Path, instance: &str) {
        let file = format!("{instance}.conf");
        fs::copy(folder.join(&file), self.path("modules").join(&file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// What the stand-in for `partition` and `mount` leaves in global storage, beside the target.
    pub(crate) fn globals(&self, extra: &Value) {
        let mut globals = json!({ "rootMountPoint": self.target() });
        for (key, value) in extra.as_object().unwrap() {
            globals[key] = value.clone();
        }
        fs::write(self.path("globals.json"), globals.to_string()).unwrap();
    }

    /// Writes `settings.conf`: phases as `("exec" or "show", instances)`.
    pub(crate) fn sequence(&self, phases: &[(&str, &[&str])]) {
        let mut text = format!("---\nmodules-search: [ {}, local ]\n", self.path("folders").display());
        let mut instances = String::new();
        let mut sequence = String::new();
        for (phase, names) in phases {
            writeln!(sequence, "- {phase}: [ {} ]", names.join(", ")).unwrap();
            for name in *names {
                if let Some((module, id)) = name.split_once('@') {
                    writeln!(instances, "- {{ id: {id}, module: {module}, config: {name}.conf }}").unwrap();
                }
            }
        }
        if !instances.is_empty() {
            write!(text, "instances:\n{instances}").unwrap();
        }
        write!(
            text,
            "sequence:\n{sequence}branding: plain\nprompt-install: false\ndont-chroot: false\noem-setup: false\n\
             disable-cancel: false\ndisable-cancel-during-exec: false\nhide-back-and-next-during-exec: false\n\
             quit-at-end: true\n"
        )
        .unwrap();
        fs::write(self.path("settings.conf"), text).unwrap();
    }

    /// Runs Calamares without a screen to its end.
    pub(crate) fn run(&self) -> Outcome {
        self.start(&[("QT_QPA_PLATFORM", "offscreen")]).finish()
    }

    /// Starts Calamares with more environment, a display for example.
    pub(crate) fn start(&self, environment: &[(&str, &str)]) -> Running<'_> {
        let _ = fs::remove_file(self.path("result.json"));
        let _ = fs::remove_dir_all(self.path("home/cache"));
        let _ = fs::remove_dir_all(self.path("etc"));
        let output = fs::File::create(self.path("output")).unwrap();
        let root = std::env::var(ROOT_VARIABLE).unwrap_or_else(|_| "/".into());
        let process = Command::new(here().join("enter"))
            .arg(self.dir.path())
            .arg(root)
            .args(["calamares", "-d", "-c"])
            .arg(self.dir.path())
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path("home"))
            .env("LANG", &self.language)
            .env("XDG_CACHE_HOME", self.path("home/cache"))
            .env("XDG_CONFIG_HOME", self.path("home/config"))
            .env("XDG_DATA_HOME", self.path("home/data"))
            .env("XDG_RUNTIME_DIR", self.path("home"))
            .envs(environment.iter().copied())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .expect("tests/calamares/enter starts");
        Running { installer: self, process }
    }
}

impl Running<'_> {
    /// What Calamares has logged up to now.
    pub(crate) fn log(&self) -> String {
        let session = self.installer.path("home/cache/calamares/session.log");
        let log = fs::read_to_string(session).unwrap_or_default();
        if log.is_empty() {
            fs::read_to_string(self.installer.path("output")).unwrap_or_default()
        } else {
            log
        }
    }

    /// Whether the log holds `text` within the time that a page takes to come up.
    pub(crate) fn logs_soon(&self, text: &str) -> bool {
        let since = Instant::now();
        while !self.log().contains(text) {
            if since.elapsed() > Duration::from_secs(5) {
                return false;
            }
            sleep(Duration::from_millis(20));
        }
        true
    }

    /// Waits until the log holds `text` for the `times`-th time.
    pub(crate) fn wait_for(&mut self, text: &str, times: usize) {
        let since = Instant::now();
        while self.log().matches(text).count() < times {
            assert!(since.elapsed() < DEADLINE, "no {text:?} for the {times}. time in\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end, in whatever way it comes.
    pub(crate) fn finish(self) -> Outcome {
        self.finish_by(|| sleep(Duration::from_millis(20)))
    }

    /// Goes on to the end by doing something again and again: pages come up in their own time.
    pub(crate) fn finish_by(mut self, go_on: impl Fn()) -> Outcome {
        let since = Instant::now();
        loop {
            let ended = self.process.try_wait().unwrap().is_some();
            let log = self.log();
            if let Some(verdict) = failure(&log) {
                return Outcome { verdict, log };
            }
            if ended {
                let result = fs::read(self.installer.path("result.json"))
                    .unwrap_or_else(|_| panic!("Calamares ended without a verdict\n{log}"));
                let globals = serde_json::from_slice(&result).unwrap();
                return Outcome { verdict: Verdict::Succeeded { globals }, log };
            }
            assert!(!log.contains("failed modules are"), "a module cannot be used\n{log}");
            assert!(since.elapsed() < DEADLINE, "Calamares does not come to an end\n{log}");
            go_on();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // The whole group: a stock module may have started programs in the target.
        let group = self.process.id().to_string();
        let _ =
            Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
        let _ = self.process.wait();
    }
}

/// Reads a failed installation out of the log; Calamares itself waits for a click on its dialogue.
fn failure(log: &str) -> Option<Verdict> {
    let (_, rest) = log.split_once("- message:")?;
    let (title, rest) = rest.split_once("- details:")?;
    let (detail, _) = rest.split_once("Calamares will quit when the dialog closes")?;
    // What stands before the next entry is the head of that entry's own line.
    let plain = |text: &str| {
        let text = text.trim_end().rsplit_once('\n').map_or(text, |(text, _head)| text);
        text.trim().trim_matches('"').to_owned()
    };
    Some(Verdict::Failed { title: plain(title), detail: plain(detail) })
}

/// Whether Calamares is another suite's.
pub(crate) fn is_other_suite() -> bool {
    std::env::var_os(ROOT_VARIABLE).is_some()
}

/// Says something past the test runner, which shows what a test prints only when it fails.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("\n{text}\n").as_bytes());
}

/// The folder of this test.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("calamares")
}

/// The folder of the Calamares module's sources.
pub(crate) fn module_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../calamares-module")
}

/// What the documented command builds, once for all tests.
pub(crate) fn built_module() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = target_folder().join("calamares-module");
        let build = Command::new(module_sources().join("build")).arg(&out).output().unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        out
    })
}

/// Cargo's target folder: this program lies in its `debug/deps`.
pub(crate) fn target_folder() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success(), "cp -a {} {}", from.display(), to.display());
}
