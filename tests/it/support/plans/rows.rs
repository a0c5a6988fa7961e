//! Fills every table of a PostgreSQL database with rows that nobody made: for the planner, and to measure
//! what grows.

/// Instead of a value: the table stays as it is.
pub const NOTHING: &str = "nothing";

/// What a column holds where its type alone does not say it. `i` is the number of the row.
const VALUES: &[(&str, &str, &str)] = &[
    ("api_keys", "role", "CASE i % 9 WHEN 0 THEN 'owner' ELSE 'member' END"),
    ("signing_keys", "state", "CASE i % 3 WHEN 0 THEN 'active' WHEN 1 THEN 'next' ELSE 'retired' END"),
    ("webhook_deliveries", "state", "CASE i % 2 WHEN 0 THEN 'pending' ELSE 'delivered' END"),
    ("webhook_deliveries", "next_at", "CASE i % 2 WHEN 0 THEN i END"),
    ("trusted_issuers", "purpose", "'exchange'"),
    ("provider_issuers", "is_primary", "i % 2 = 0"),
    ("provider_issuers", "is_base", "i % 2 = 0"),
    ("*", "provider_id", "'provider ' || i"),
    ("*", "deleted_at", "NULL"),
    ("*", "ended_at", "NULL"),
];

/// The script that adds `rows` rows to every table but a few small ones. `more` goes before [`VALUES`]; the value
/// `nothing` leaves a table empty.
pub fn fill(rows: usize, more: &[(&str, &str, &str)]) -> String {
    let cases: String = more
        .iter()
        .chain(VALUES)
        .map(|(table, column, value)| {
            let of_table = if *table == "*" { String::new() } else { format!("t.relname = '{table}' AND ") };
            format!("WHEN {of_table}a.attname = '{column}' THEN $value${value}$value$ ")
        })
        .collect();
    let empty: Vec<&str> = more.iter().filter(|(_, _, value)| *value == NOTHING).map(|(table, ..)| *table).collect();
    let empty = empty.join("', '");
    format!(
        "SET session_replication_role = replica;
         DO $fill$
         DECLARE one record;
         BEGIN
             FOR one IN
                 SELECT t.relname AS name, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS names,
                     string_agg(CASE {cases}
                         WHEN a.atttypid = 'text'::regtype THEN quote_literal(a.attname || ' ') || ' || i'
                         WHEN a.atttypid = 'bytea'::regtype THEN 'decode(md5(i::text), ''hex'')'
                         WHEN a.atttypid = 'boolean'::regtype THEN 'true'
                         ELSE 'i' END, ', ' ORDER BY a.attnum) AS selected
                 FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                 WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace
                     AND t.relname NOT IN ('__diesel_schema_migrations', 'meta', 'data_keys')
                     AND t.relname NOT IN ('{empty}')
                     AND a.attidentity = '' GROUP BY t.relname
             LOOP
                 EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM generate_series(1, {rows}) i',
                     one.name, one.names, one.selected);
             END LOOP;
         END $fill$;
         SET session_replication_role = DEFAULT;"
    )
}
