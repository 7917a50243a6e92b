//! The user that a group belongs to. It is found once, when the agent starts: a process that gives up its privileges
//! later (`process.setuid()`) stays in the group that it has joined.

/// The owner of a group's folder, and of the processes in it.
///
/// # Platform-specific behaviour
/// Windows: the user's name; a pipe's default access list keeps others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    #[cfg(unix)]
    id: u32,
}

#[cfg(unix)]
impl User {
    /// The user of this process, now.
    #[must_use]
    pub fn current() -> Self {
        Self { id: rustix::process::geteuid().as_raw() }
    }

    /// The user with this id.
    #[must_use]
    pub const fn of_id(id: u32) -> Self {
        Self { id }
    }

    /// The user of the groups that this process joins. A process of root's may say which user it becomes when it has
    /// started; for all others, and without that, it is the user of this process, now.
    ///
    /// # Platform-specific behaviour
    /// Elsewhere than on Linux it is always the user of this process: a socket can't be given to another user safely there.
    #[must_use]
    pub fn of_groups(becomes: Option<u32>) -> Self {
        let current = Self::current();
        match becomes {
            Some(id) if cfg!(target_os = "linux") && current.is_root() => Self::of_id(id),
            _ => current,
        }
    }

    /// The user id.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.id
    }

    fn is_root(self) -> bool {
        self.id == 0
    }

    /// Whether a process of the user `id` may be in this user's groups. Root may: nothing keeps it out.
    #[must_use]
    pub const fn trusts(self, id: u32) -> bool {
        id == self.id || id == 0
    }

    /// Whether this process can become another user, which root alone is taken to do.
    #[must_use]
    pub fn can_change(self) -> bool {
        self.is_root() || Self::current().is_root()
    }

    /// The user that this process has become since then, if that is another one without root's rights.
    #[must_use]
    pub fn changed_to(self) -> Option<u32> {
        let now = Self::current();
        (now != self && !now.is_root()).then_some(now.id)
    }
}

#[cfg(not(unix))]
impl User {
    /// The user of this process, now.
    #[must_use]
    pub fn current() -> Self {
        Self {}
    }

    /// The user of the groups that this process joins: its own.
    #[must_use]
    pub fn of_groups(_becomes: Option<u32>) -> Self {
        Self {}
    }

    /// Whether this process can become another user.
    #[must_use]
    pub fn can_change(self) -> bool {
        false
    }

    /// The user that this process has become since then: a process keeps its user here.
    #[must_use]
    pub fn changed_to(self) -> Option<u32> {
        None
    }
}

/// As it stands in a group's key.
impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        #[cfg(unix)]
        {
            self.id.fmt(f)
        }
        #[cfg(not(unix))]
        {
            let of = |name| std::env::var(name).unwrap_or_default();
            write!(f, "{}-{}", of("USERDOMAIN"), of("USERNAME"))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn root_alone_says_whose_its_groups_are() {
        let is_root = cfg!(target_os = "linux") && User::current().is_root();
        let expected = if is_root { User::of_id(65534) } else { User::current() };
        assert_eq!(User::of_groups(Some(65534)), expected);
        assert_eq!(User::of_groups(None), User::current());
    }

    #[test]
    fn a_user_trusts_itself_and_root_alone() {
        let user = User::of_id(1000);
        assert!(user.trusts(1000) && user.trusts(0));
        assert!(!user.trusts(1001) && !User::of_id(0).trusts(1000));
    }
}
