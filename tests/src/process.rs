//! A child process that never outlives its parent.
//!
//! Dropping it kills it. If the parent itself is killed, the kernel does it (Linux: the parent-death signal;
//! elsewhere a child survives the SIGKILL of its parent). That signal fires when the *thread* that spawned the
//! child ends, so one thread, which lives as long as the process, spawns all children.

use std::{
    io,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};

use crate::wait::eventually;

/// How long a child may take to finish after SIGTERM.
const FINISHING: Duration = Duration::from_secs(30);

type Order = (Command, mpsc::Sender<io::Result<Child>>);

static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    thread::spawn(move || {
        for (mut command, reply) in inbox {
            // Whoever ordered the child waits for it, so this cannot fail.
            reply.send(command.spawn()).ok();
        }
    });
    orders
});

/// A running child, killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts `command` without input, in a process group of its own, so that a Ctrl-C in the terminal
    /// reaches only the parent, which then decides how its children end.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null());
        bind_to_parent(&mut command);
        let (reply, result) = mpsc::channel();
        SPAWNER.send((command, reply)).map_err(|_| anyhow!("the spawning thread is gone"))?;
        let child = result.recv()?.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status if the child has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for the end of the child.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        eventually("the end of a child", deadline, async || self.ended()).await
    }

    /// Asks the child to finish (SIGTERM).
    pub fn ask_to_end(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            signal(self.child.id(), libc::SIGTERM)?;
        }
        Ok(())
    }

    /// The same, and waits until it has.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.ask_to_end()?;
        self.wait(FINISHING).await
    }

    /// Tells the child to read its config again (SIGHUP).
    pub fn hang_up(&self) -> Result<()> {
        signal(self.child.id(), libc::SIGHUP)
    }

    /// Lets the child do nothing (SIGSTOP) until [`Running::wake`].
    pub fn freeze(&self) -> Result<()> {
        signal(self.child.id(), libc::SIGSTOP)
    }

    /// Lets a frozen child go on (SIGCONT).
    pub fn wake(&self) -> Result<()> {
        signal(self.child.id(), libc::SIGCONT)
    }

    /// Ends the child at once (SIGKILL).
    pub fn kill9(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended before; there is nothing else to do about a failure here.
        self.kill9().ok();
    }
}

#[allow(unsafe_code, reason = "kill(2) has no safe form in std; it takes two numbers and touches no memory")]
pub(crate) fn signal(process: u32, signal: i32) -> Result<()> {
    let outcome = unsafe { libc::kill(process.try_into()?, signal) };
    if outcome != 0 {
        return Err(io::Error::last_os_error()).context("cannot signal a child");
    }
    Ok(())
}

#[allow(unsafe_code, reason = "the parent-death signal is set between fork and exec; both calls are async-signal-safe")]
fn bind_to_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        let die_with_parent = move || {
            let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let orphaned = unsafe { libc::getppid() }.cast_unsigned() != parent;
            if set != 0 || orphaned {
                return Err(io::Error::other("the parent is gone"));
            }
            Ok(())
        };
        unsafe { command.pre_exec(die_with_parent) };
    }
}
