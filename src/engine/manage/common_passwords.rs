//! Passwords that everybody tries first, of those long enough to be chosen at all (NIST SP 800-63B
//! §3.1.1.2). In lower case, sorted.

/// Whether `password` is one of them, whatever its letter case.
pub fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    COMMON.binary_search(&lower.as_str()).is_ok() || is_one_character(&lower) || is_a_run(&lower)
}

fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    let first = characters.next();
    characters.all(|character| Some(character) == first)
}

/// `abcdefgh`, `12345678`, `87654321`.
fn is_a_run(text: &str) -> bool {
    let pairs = || text.as_bytes().windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
    pairs().all(|(a, b)| a.checked_add(1) == Some(b)) || pairs().all(|(a, b)| b.checked_add(1) == Some(a))
}

#[rustfmt::skip] // a list, not code
const COMMON: [&str; 222] = [
    "00001111", "0123456789", "0987654321", "10101010", "11111111", "11223344", "1122334455", "112233445566",
    "12121212", "123123123", "123123123a", "123321123", "12341234", "12344321", "123454321", "123456123",
    "1234567890", "12345678910", "123456789a", "12345678a", "1234567a", "1234qwer", "123abc123", "123qwe123",
    "123qweasd", "13131313", "147258369", "159357456", "159753456", "1q2w3e4r", "1q2w3e4r5t", "1qaz2wsx",
    "1qaz2wsx3edc", "31415926", "321654987", "55555555", "741852963", "789456123", "87654321", "9876543210",
    "a12345678", "a123456789", "a1b2c3d4", "aa123456", "aa12345678", "abc12345", "abc123456", "abcd1234", "access14",
    "admin123", "admin1234", "admin12345", "adminadmin", "administrator", "alexander", "arsenal1", "asdasdasd",
    "asdf1234", "asdfghjk", "asdfghjkl", "autumn2025", "azertyuiop", "barcelona", "baseball", "baseball1",
    "basketball", "batman123", "butterfly", "changeit", "changeme", "changeme1", "changeme123", "charlie1",
    "chelsea1", "chocolate", "computer", "contrasena", "contraseña", "correcthorsebatterystaple", "corvette",
    "cristina", "daniel123", "default1", "diamond1", "dragon123", "dropbox1", "elephant", "facebook", "ferrari1",
    "football", "football1", "freedom1", "google123", "guest123", "hello123", "hello1234", "hellohello",
    "helloworld", "hockey12", "hunter123", "ilovegod", "iloveyou", "iloveyou!", "iloveyou1", "iloveyou2", "internet",
    "jennifer", "jessica1", "jordan23", "letmein!", "letmein1", "letmein123", "linkedin", "liverpool", "login123",
    "lovelove", "loveyou1", "master123", "maverick", "mercedes", "michael1", "michelle", "midnight", "minecraft",
    "monkey123", "motdepasse", "mountain", "mustang1", "mypassword", "newpassword", "nicholas", "nopassword",
    "opensesame", "p@$$w0rd", "p@ssw0rd", "p@ssword", "pa$$word", "pass1234", "pass12345", "passpass", "passw0rd",
    "password", "password!", "password00", "password01", "password1", "password1!", "password12", "password123",
    "password1234", "password2", "passwort", "passwort1", "passwort123", "pokemon1", "pokemon123", "porsche1",
    "princess", "princess1", "q1w2e3r4", "q1w2e3r4t5", "qazwsxedc", "qweasd123", "qweasdzxc", "qweqweqwe",
    "qwer1234", "qwerty12", "qwerty123", "qwerty1234", "qwerty12345", "qwertyui", "qwertyuiop", "qwertzui",
    "qwertzuiop", "realmadrid", "root1234", "rootroot", "samsung1", "samsung123", "secret12", "secret123",
    "shadow12", "shadow123", "soccer12", "spiderman", "spring2025", "starwars", "summer2023", "summer2024",
    "summer2025", "summer2026", "sunshine", "sunshine1", "superman", "superman1", "test1234", "test12345",
    "testing1", "testing123", "testtest", "thepassword", "toor1234", "topsecret", "trustno1", "user1234", "username",
    "veronica", "victoria", "welcome!", "welcome1", "welcome12", "welcome123", "whatever", "willkommen",
    "winter2023", "winter2024", "winter2025", "winter2026", "zaq12wsx", "zxcvbnm1", "zxcvbnm123", "zxczxczxc",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched_and_common_passwords_are_known() {
        assert!(COMMON.is_sorted());
        for common in
            ["password", "PassWord123", "12345678", "87654321", "abcdefghi", "aaaaaaaa", "Iloveyou", "ÄÄÄÄÄÄÄÄ"]
        {
            assert!(is_common(common), "{common}");
        }
        for fine in ["correct horse bättery", "purple-otter-41", "12345679x"] {
            assert!(!is_common(fine), "{fine}");
        }
    }
}
