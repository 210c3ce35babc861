//! The users of a guest, and how it lets them in.

use super::{GuestAccount, PASSWORD, ROOT};

/// A user, and how often in a row their password was wrong.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) known: GuestAccount,
    wrong: u32,
}

impl From<GuestAccount> for Account {
    fn from(known: GuestAccount) -> Self {
        Self { known, wrong: 0 }
    }
}

/// Somebody who is in a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) username: String,
    pub(super) privileged: bool,
    pub(super) sudo: bool,
}

impl Who {
    /// Whether they may read a file with this owner and mode.
    pub(super) fn may_read(&self, owner: &str, mode: u32) -> bool {
        self.owns(owner) || mode & 0o004 != 0
    }

    /// Whether something is theirs, or they may do everything.
    pub(super) fn owns(&self, owner: &str) -> bool {
        self.privileged || self.username == owner
    }
}

/// The accounts of a guest.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    all: Vec<Account>,
    /// So many wrong passwords lock one; 0: any number may be wrong.
    lock_after: u32,
    /// How often a password was refused, whose ever.
    pub(super) refused: u32,
}

impl Accounts {
    /// The one that every guest has.
    pub(super) fn usual(windows: bool) -> Self {
        let username = if windows { "Administrator" } else { ROOT };
        let known = GuestAccount {
            username: username.to_owned(),
            password: PASSWORD.to_owned(),
            privileged: true,
            sudo: false,
        };
        Self { all: vec![known.into()], lock_after: 0, refused: 0 }
    }

    pub(super) fn replace(&mut self, accounts: &[GuestAccount]) {
        self.all = accounts.iter().cloned().map(Account::from).collect();
    }

    pub(super) fn set_lock_after(&mut self, times: u32) {
        self.lock_after = times;
    }

    pub(super) fn rename(&mut self, username: &str) {
        if let Some(first) = self.all.first_mut() {
            username.clone_into(&mut first.known.username);
        }
    }

    pub(super) fn set_password(&mut self, password: &str) {
        if let Some(first) = self.all.first_mut() {
            password.clone_into(&mut first.known.password);
            first.wrong = 0;
        }
    }

    /// Lets somebody in, or counts that it did not.
    pub(super) fn log_in(&mut self, username: &str, password: &str) -> Option<Who> {
        let limit = self.lock_after;
        let locked = |account: &Account| limit > 0 && account.wrong >= limit;
        let account = self.all.iter_mut().find(|account| account.known.username == username);
        let who = account.and_then(|account| {
            if locked(account) || account.known.password != password {
                account.wrong += 1;
                return None;
            }
            account.wrong = 0;
            let GuestAccount { privileged, sudo, .. } = account.known;
            Some(Who { username: username.to_owned(), privileged, sudo })
        });
        self.refused += u32::from(who.is_none());
        who
    }

    /// Those that are locked.
    pub(super) fn locked(&self) -> Vec<String> {
        let locked =
            self.all.iter().filter(|account| self.lock_after > 0 && account.wrong >= self.lock_after);
        locked.map(|account| account.known.username.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_locked_by_wrong_passwords_in_a_row_and_unlocked_by_a_new_one() {
        let mut accounts = Accounts::usual(false);
        accounts.set_lock_after(2);
        for (password, works) in
            [("x", false), (PASSWORD, true), ("x", false), ("x", false), (PASSWORD, false)]
        {
            assert_eq!(accounts.log_in(ROOT, password).is_some(), works);
        }
        assert_eq!((accounts.refused, accounts.locked()), (4, vec![ROOT.to_owned()]));
        assert!(accounts.log_in("nobody", PASSWORD).is_none());
        accounts.set_password("new");
        assert!(accounts.log_in(ROOT, "new").is_some_and(|who| who.privileged && who.owns("somebody")));
        assert!(accounts.locked().is_empty());
    }
}
