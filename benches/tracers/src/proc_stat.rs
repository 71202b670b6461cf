//! What the system says of a process: `/proc/PID`.

use std::fs;

use anyhow::{Context, bail};

/// Memory and CPU of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcStat {
    /// `VmRSS`, bytes.
    pub rss: u64,
    /// `VmHWM`, bytes: the highest RSS since the start, or since [`reset_peak`].
    pub peak: u64,
    /// User and system time, seconds, in steps of the system's clock tick (10 ms).
    pub cpu_seconds: f64,
    /// Voluntary and other context switches of all threads that live.
    pub switches: u64,
    pub threads: u64,
}

impl ProcStat {
    pub fn read(pid: u32) -> anyhow::Result<Self> {
        let status = file(pid, "status")?;
        let stat = file(pid, "stat")?;
        let mut switches = 0;
        let folder = format!("/proc/{pid}/task");
        let tasks = fs::read_dir(&folder).with_context(|| format!("{folder} cannot be read"))?;
        for task in tasks {
            // A thread may end meanwhile.
            if let Ok(task) = task
                && let Ok(status) = fs::read_to_string(task.path().join("status"))
            {
                switches += field(&status, "voluntary_ctxt_switches").unwrap_or(0)
                    + field(&status, "nonvoluntary_ctxt_switches").unwrap_or(0);
            }
        }
        Ok(Self {
            rss: field(&status, "VmRSS").unwrap_or(0) << 10,
            peak: field(&status, "VmHWM").unwrap_or(0) << 10,
            cpu_seconds: cpu_seconds(&stat)?,
            switches,
            threads: field(&status, "Threads").unwrap_or(0),
        })
    }
}

/// Makes the present RSS the peak.
pub fn reset_peak(pid: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("{path} cannot be written"))
}

fn file(pid: u32, name: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
}

/// The number behind `NAME:`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds(stat: &str) -> anyhow::Result<f64> {
    // The second field is the program's name in parentheses, and may hold anything.
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        bail!("an unknown form of /proc/PID/stat: {stat:?}");
    };
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    let (Some(user), Some(system)) = (ticks(), ticks()) else {
        bail!("an unknown form of /proc/PID/stat: {stat:?}");
    };
    Ok((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    //! Guards against a wrong column, which would give plausible figures.

    use super::*;

    #[test]
    fn the_fields_are_those_that_the_manual_names() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 99 1 2 3";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(cpu_seconds(stat).unwrap(), 300.0 / ticks);
        let status = "VmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\nvoluntary_ctxt_switches:\t5\n";
        assert_eq!(field(status, "VmRSS"), Some(1024));
        assert_eq!(field(status, "voluntary_ctxt_switches"), Some(5));
        assert_eq!(field(status, "nonvoluntary_ctxt_switches"), None);
    }

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let pid = std::process::id();
        let before = ProcStat::read(pid).unwrap();
        let began = std::time::Instant::now();
        let mut block = vec![0u8; 64 << 20];
        let mut sum = 0u64;
        while began.elapsed().as_millis() < 300 {
            for (index, byte) in block.iter_mut().enumerate() {
                *byte = byte.wrapping_add(index as u8);
                sum += u64::from(*byte);
            }
        }
        let after = ProcStat::read(pid).unwrap();
        assert!(sum > 0 && after.cpu_seconds > before.cpu_seconds);
        assert!(after.rss > before.rss + (32 << 20), "{before:?} {after:?}");
    }
}
