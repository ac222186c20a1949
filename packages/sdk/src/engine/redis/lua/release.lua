--- name:   release
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, header released_header epoch audit_length writes (count TAB first TAB last, or "")
--- reply:  per shard: "released" | "stale"
--- include "now" "groups" "fence" "append_audit"
--- Its entry in the audit: number l at epoch session writes.
return groups(function(shard, at)
  local header, released = ARGV[at], ARGV[at + 1]
  if not fence(shard, header) then
    if fence(shard, released) then return "released" end
    --- use "refuse"
    return refuse(shard, "release", header)
  end
  call("HSET", shard .. "r", "", released)
  local session = match(header, "^[^\t]*")
  append_audit(shard, ARGV[at + 3], table.concat({ "l", format("%.0f", now()), ARGV[at + 2], session, ARGV[at + 4] }, "\t"))
  call("SPUBLISH", shard .. "hint", "l\t" .. ARGV[at + 2])
  return "released"
end)
