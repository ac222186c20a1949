--- The fence of every worker script (O3): the shard's header must be the caller's (session, epoch).
local function fence(shard, header)
  return call("HGET", shard .. "r", "") == header
end
