//! How much memory there is: the control group's limit (versions 1 and 2), as a container has one, and the machine's.

use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

/// Where control groups are shown.
const ROOT: &str = "/sys/fs/cgroup";

/// The least limit of this process's control group and those above it, in bytes; `None` where none is set.
#[must_use]
pub fn memory_limit_bytes() -> Option<u64> {
    let membership = read_to_string("/proc/self/cgroup").ok()?;
    let limit = limit_bytes(Path::new(ROOT), &membership)?;
    // Version 1 says no limit by a number that no machine has.
    machine_memory_bytes().is_none_or(|machine| limit < machine).then_some(limit)
}

/// The machine's memory, in bytes.
#[must_use]
pub fn machine_memory_bytes() -> Option<u64> {
    machine_bytes(&read_to_string("/proc/meminfo").ok()?)
}

/// `membership` is what `/proc/self/cgroup` says: lines of `number:controllers:path`.
fn limit_bytes(root: &Path, membership: &str) -> Option<u64> {
    let groups = membership.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        match controllers {
            "" => Some((root.to_owned(), "memory.max", path)),
            list if list.split(',').any(|name| name == "memory") => {
                Some((root.join("memory"), "memory.limit_in_bytes", path))
            }
            _ => None,
        }
    });
    groups.filter_map(|(mount, file, path)| least(mount, Path::new(path), file)).min()
}

/// The least number in the files of that name from the mount on down. A container may see its own group as the mount,
/// and its path as the machine knows it: what is not there is passed over.
fn least(mut folder: PathBuf, path: &Path, file: &str) -> Option<u64> {
    let read = |folder: &Path| read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    let mut least = read(&folder);
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        folder.push(name);
        least = least.into_iter().chain(read(&folder)).min();
    }
    least
}

/// `meminfo` is what `/proc/meminfo` says.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{limit_bytes, machine_bytes, machine_memory_bytes};

    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("flagstone-cgroup-{name}-{}", std::process::id()));
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().expect("in a folder")).expect("a temporary folder");
            fs::write(file, text).expect("writable");
        }
        root
    }

    #[test]
    fn the_least_limit_on_the_way_counts() {
        let second = folder("v2", &[("a/memory.max", "1000\n"), ("a/b/memory.max", "max\n"), ("c/memory.max", "5\n")]);
        let first = folder(
            "v1",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/docker/x/memory.limit_in_bytes", "2000\n"),
            ],
        );
        let container = folder("container", &[("memory.max", "3000\n")]);
        for (root, membership, expected) in [
            (&second, "0::/a/b\n", Some(1000)),
            (&second, "0::/\n", None),
            (&second, "0::/nowhere\n", None),
            (&second, "0::/../c\n", Some(5)),
            (&first, "5:cpu,memory:/docker/x\n0::/\n", Some(2000)),
            (&first, "5:memory:/\n", Some(9_223_372_036_854_771_712)),
            (&first, "5:cpu:/docker/x\n", None),
            (&container, "0::/system.slice/docker-1.scope\n", Some(3000)),
            (&container, "no line\n", None),
        ] {
            assert_eq!(limit_bytes(root, membership), expected, "{membership}");
        }
        for root in [second, first, container] {
            fs::remove_dir_all(root).expect("it was made above");
        }
    }

    #[test]
    fn the_machine_says_how_much_it_has() {
        assert_eq!(machine_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(machine_bytes("MemFree: 1 kB\n"), None);
        assert!(machine_memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
