--- Answers a stale write (O3). Nothing but the audit changes: the first of (verb, session, epoch) since the last claim or release gets an
--- entry, in which later ones are counted, as long as there are less than KEPT. The entry: number x at epoch session verb header_epoch
--- header_session count last others.
--- include "now" "append_audit"
local KEPT = 16
local function refuse(shard, verb, writer)
  local h = shard .. "h"
  local session, epoch = match(writer, "^([^\t]*)\t(%d+)\t")
  local time = format("%.0f", now())
  local who = epoch .. "\t" .. session .. "\t" .. verb .. "\t"
  local recent = call("LRANGE", h, -KEPT, -1)
  local refusals, newest = 0, nil
  for n = #recent, 1, -1 do
    local start, was, header, count, last, others = match(recent[n], "^(%d+\tx\t%d+\t)(%d+\t[^\t]*\t%a+\t)(%d+\t[^\t]*\t)(%d+)\t(%d+)\t(%d+)$")
    if not start then break end
    refusals = refusals + 1
    if was == who then
      call("LSET", h, n - #recent - 1, start .. was .. header .. (count + 1) .. "\t" .. time .. "\t" .. others)
      return "stale"
    end
    newest = newest or start .. was .. header .. count .. "\t" .. last .. "\t" .. (others + 1)
  end
  if refusals == KEPT then
    call("LSET", h, -1, newest)
    return "stale"
  end
  local owner, owned = match(call("HGET", shard .. "r", "") or "", "^([^\t]*)\t(%d+)\t")
  append_audit(shard, nil, "x\t" .. time .. "\t" .. who .. (owned or "0") .. "\t" .. (owner or "") .. "\t1\t" .. time .. "\t0")
  return "stale"
end
