# SPDX-License-Identifier: Apache-2.0
"""Seven illnesses of the brain, the cord and the nerves."""

from __future__ import annotations

from simulations._phrases.condition import Condition, condition

CONDITIONS: tuple[Condition, ...] = (
    condition(
        names="an ischemic stroke; a transient ischemic attack; a middle cerebral infarct",
        complaints="sudden weakness of the right arm and slurred speech; a drooping face and word-finding trouble; "
        "brief loss of vision in one eye; waking with a numb clumsy hand",
        findings="a pronator drift on the right; expressive dysphasia; a left facial droop with neglect",
        studies="restricted diffusion on MRI; a tight carotid narrowing; an occluded middle cerebral branch",
        drugs="alteplase; aspirin; clopidogrel; atorvastatin",
        plans="start speech therapy; screen swallowing before diet; refer for carotid surgery",
    ),
    condition(
        names="focal epilepsy; generalized tonic-clonic seizures; a first unprovoked seizure",
        complaints="a convulsion with tongue biting; staring spells with lip smacking; "
        "jerking of the left hand and lost awareness; a blackout with shaking and confusion after",
        findings="a bitten tongue and drowsiness; a brief weakness of one side after the fit; slow answers, no deficit",
        studies="left temporal spikes on EEG; a sclerosed hippocampus on MRI; generalized spike and wave",
        drugs="levetiracetam; lamotrigine; sodium valproate; rescue midazolam",
        plans="advise on driving and bathing alone; raise the anticonvulsant dose; book a sleep-deprived recording",
    ),
    condition(
        names="migraine with aura; chronic migraine; cluster headache",
        complaints="throbbing one-sided headache with nausea; zigzag lights before a pounding headache; "
        "headache with vomiting and dread of light; stabbing pain around one eye at night",
        findings="photophobia with normal fundi; a watering red eye and drooping lid; scalp tenderness",
        studies="a normal scan of the head; a headache diary with sixteen days a month; a normal opening pressure",
        drugs="sumatriptan; topiramate; erenumab; propranolol",
        plans="limit painkiller days; try preventive injections; keep a headache diary",
    ),
    condition(
        names="relapsing multiple sclerosis; optic neuritis; transverse myelitis",
        complaints="painful blurring of one eye; tingling to the waist and stiff legs; "
        "electric shocks down the spine on bending the neck; double vision and unsteadiness",
        findings="an afferent pupil defect; brisk reflexes with upgoing toes; a sensory level at the ribs",
        studies="new enhancing periventricular lesions; oligoclonal bands in spinal fluid; a cord lesion on MRI",
        drugs="intravenous methylprednisolone; ocrelizumab; baclofen; dimethyl fumarate",
        plans="begin disease-modifying treatment; repeat the brain scan yearly; refer for bladder training",
    ),
    condition(
        names="Parkinson disease; essential tremor; atypical parkinsonism",
        complaints="a shaking hand at rest and small handwriting; shuffling, freezing in doorways and falls; "
        "slowness buttoning clothes, a soft voice and hard stools; acting out dreams and stiffness",
        findings="cogwheel rigidity of the wrists; reduced arm swing and a masked face; a pill-rolling tremor",
        studies="reduced uptake in the putamen; a normal copper level; a clear response to levodopa challenge",
        drugs="carbidopa with levodopa; pramipexole; rasagiline; primidone",
        plans="adjust dose timing to wearing off; refer for gait physiotherapy; discuss deep brain stimulation",
    ),
    condition(
        names="diabetic polyneuropathy; Guillain-Barre syndrome; carpal tunnel syndrome",
        complaints="burning feet at night and numb toes; ascending weakness of the legs; "
        "tingling fingers that wake from sleep; pins and needles and tripping over kerbs",
        findings="absent ankle jerks and stocking numbness; weak ankle lifting on both sides; wasting of the "
        "thumb muscle",
        studies="slowed conduction velocities; high protein with few cells in spinal fluid; low B12 and high "
        "methylmalonate",
        drugs="gabapentin; duloxetine; immunoglobulin infusion; pregabalin",
        plans="monitor vital capacity; repeat nerve conduction; inspect the feet daily",
    ),
    condition(
        names="Alzheimer disease; vascular dementia; normal pressure hydrocephalus",
        complaints="forgetting recent talks and misplacing things; getting lost on familiar roads; "
        "repeating questions and poor word recall; memory decline with wide-based gait",
        findings="a cognitive score of 17 of 30; poor clock drawing and delayed recall; grasp reflexes and slow gait",
        studies="hippocampal atrophy on MRI; large ventricles on the scan; a positive amyloid tracer study",
        drugs="donepezil; memantine; rivastigmine patch; citalopram",
        plans="arrange a driving assessment; support the carer at home; measure gait after a spinal tap",
    ),
)
