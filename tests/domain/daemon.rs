//! A libvirt of its own, with its daemon: folders and network belong to it alone, and everything
//! that it starts ends with it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use neuron_tests::program;

/// Runs as the first process of the namespaces: when it ends, all others there are killed. It ends
/// when whoever holds the other end of its input does.
const SCRIPT: &str = r#"
set -e
for folder in /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /var/lib/swtpm-localca; do
    mkdir -p "$folder"
    mount -t tmpfs private "$folder"
done
mkdir -p /run/libvirt /run/lock /etc/libvirt/qemu/networks /var/lib/libvirt/images
# Not in memory: the disks are opened past the cache, which only newer kernels allow there.
mount --bind "$1" /var/lib/libvirt/images
cp /usr/share/libvirt/networks/default.xml /etc/libvirt/qemu/networks/
printf 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nstdio_handler = "file"\n' >/etc/libvirt/qemu.conf
# A kernel without USB lists none: libvirt looks there for devices that may be missing.
if [ ! -d /sys/bus/usb/devices ]; then
    mkdir /run/bus
    mount --bind /sys/bus /run/bus
    mount -t tmpfs private /sys/bus
    mkdir -p /sys/bus/usb/devices
    for bus in /run/bus/*; do
        mkdir -p "/sys/bus/${bus##*/}"
        mount --bind "$bus" "/sys/bus/${bus##*/}"
    done
fi
# Of several, libvirt takes the last one: that is to be this system's, whatever other roots have theirs.
grep -E ' cgroup2? ' /proc/self/mounts | cut -d ' ' -f 2 | grep '^/sys/fs/cgroup' |
    while read -r folder; do mount --bind "$folder" "$folder"; done
ip link set lo up
ip link add br0 type bridge
libvirtd -d
# Who waits for one child takes note of all that ended: libvirt waits for its own to be gone.
exec 3<&0
cat <&3 >/dev/null &
wait $!
"#;

/// How long the daemon may take: it asks QEMU what it can do.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Daemon {
    _unshare: Child,
    _input: ChildStdin,
    /// The first process in there.
    first: String,
}

static DAEMON: LazyLock<Mutex<Daemon>> = LazyLock::new(|| Mutex::new(Daemon::start()));

/// The daemon, for one test at a time: there is one network.
pub(crate) fn daemon() -> MutexGuard<'static, Daemon> {
    DAEMON.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Daemon {
    #[allow(clippy::zombie_processes, reason = "it ends with this process, and so does whoever waits")]
    fn start() -> Self {
        let images = Path::new(env!("CARGO_TARGET_TMPDIR")).join("domain-images");
        fs::create_dir_all(&images).unwrap();
        let mut unshare = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", SCRIPT])
            .args(["sh", images.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let input = unshare.stdin.take().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let began = Instant::now();
        loop {
            let first = fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            if !first.is_empty() && answers(&first) {
                return Self { _unshare: unshare, _input: input, first };
            }
            if began.elapsed() > PATIENCE {
                let _ = unshare.kill();
                panic!("the private libvirt does not answer: {:?}", unshare.wait());
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// A command in there.
    pub(crate) fn command(&self, program: &OsStr) -> Command {
        inside(&self.first, program)
    }

    pub(crate) fn virsh(&self, arguments: &[&str]) -> Result<String, String> {
        let done = self.command(OsStr::new("virsh")).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    /// The program, in there.
    pub(crate) fn program(&self, arguments: &[&str]) -> program::Output {
        let path = program::path().unwrap();
        let mut command = self.command(path.as_os_str());
        command.args(arguments).stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        program::output(&mut command).unwrap()
    }
}

fn inside(first: &str, program: &OsStr) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", first, "--mount", "--net", "--pid", "--"]).arg(program);
    command
}

fn answers(first: &str) -> bool {
    let asked =
        inside(first, OsStr::new("virsh")).arg("uri").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}
