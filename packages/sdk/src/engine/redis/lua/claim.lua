--- name:   claim
--- caller: worker
--- keys:   shard…
--- args:   now; per shard: size, from ("": no header) session known_epoch padding audit_length
--- reply:  per shard: 1 epoch active… | 0 header|nil
--- include "now" "groups" "append_audit"
--- Takes a shard by compare-and-set on its header (O1). The epoch grows even over a stale replica and an emptied store (O2).
--- Its entry in the audit: number c at epoch session from_epoch from_session known_epoch.
local EPOCH_ZERO = 1735689600000 -- 2025-01-01

return groups(function(shard, at)
  local from, session, known, padding = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local r = shard .. "r"
  local header = call("HGET", r, "") or ""
  local owner, epoch = match(header, "^([^\t]*)\t(%d+)\t")
  epoch = tonumber(epoch or 0)
  if header == from then
    local before = format("%.0f", epoch)
    epoch = math.max(epoch + 1, now() - EPOCH_ZERO, known + 1)
    local granted = format("%.0f", epoch)
    call("HSET", r, "", session .. "\t" .. granted .. "\t" .. padding)
    local entry = { "c", format("%.0f", now()), granted, session, before, owner or "", ARGV[at + 2] }
    append_audit(shard, ARGV[at + 4], table.concat(entry, "\t"))
  elseif owner ~= session or epoch <= known then
    return { 0, header }
  end
  local reply = call("SMEMBERS", shard .. "w")
  table.insert(reply, 1, 1)
  table.insert(reply, 2, format("%.0f", epoch))
  return reply
end)
